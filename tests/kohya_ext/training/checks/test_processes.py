"""What accelerate would refuse, start alone or wait for in vain is said before the start."""

from __future__ import annotations

import pytest

from kohya_ext.training.checks.findings import Level
from kohya_ext.training.checks.processes import check_processes

TWO = "--multi_gpu --num_processes 2 --num_machines 2 --main_process_port 29500"
MEET = "--main_process_ip 192.168.0.5"


def found(words: str) -> list[str]:
    findings = list(check_processes(tuple(words.split())))
    assert {one.code for one in findings} <= {"LL332"}
    return [f"{one.level.name} {one}" for one in findings]


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--num_processes 1 --num_machines 1",
        "--num_cpu_threads_per_process 2 --mixed_precision no",
        "--multi_gpu --num_processes 2",
        "--use_fsdp --num_processes=4",
        f"{TWO} {MEET}",
        f"{TWO} {MEET} --machine_rank 0",
        f"{TWO} --main-process-ip=first-machine.local --machine-rank=0",
        f"{TWO} --main_process_ip fe80::5",
        f"{TWO} --main_process_ip [2001:db8::5]",
        f"{TWO} {MEET} --num_processes 8",
    ],
)
def test_what_accelerate_starts_is_fine(words: str):
    assert found(words) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--num_processes 0", "num_processes is 0, not a whole number"),
        ("--num_machines two", "num_machines is two, not a whole number"),
        ("--num_machines", "num_machines is empty, not a whole number"),
        ("--num_machines -1", "num_machines is -1, not a whole number"),
        ("--multi_gpu --num_processes 1", "multi_gpu is on, but num_processes is 1"),
        (f"{TWO} {MEET} --num_processes 3", "3, which cannot be shared equally by 2 machines"),
        (f"{TWO} {MEET} --num_machines 3", "2, which cannot be shared equally by 3 machines"),
        (f"{TWO} {MEET} --machine_rank 1", "--machine_rank is 1, but this command starts machine"),
        (f"{TWO} {MEET} --machine_rank=5", "--machine_rank is 5, but"),
        (f"{TWO} {MEET} --machine_rank", "--machine_rank is empty, but"),
        (TWO, "--main_process_ip is missing: the 2 machines meet"),
        (f"{TWO} --main_process_ip 192.168.0.5:29500", "--main_process_ip is 192.168.0.5:29500: "),
        (f"{TWO} --main_process_ip first:29500", "--main_process_ip is first:29500: "),
        (f"{TWO} --main_process_ip http://first", "--main_process_ip is http://first: "),
        (f"{TWO} --main_process_ip [fe80::5]:29500", "--main_process_ip is [fe80::5]:29500: "),
        (f"{TWO} {MEET} --main_process_port 0", "main_process_port is 0, not a port"),
        (f"{TWO} {MEET} --main_process_port 99999", "main_process_port is 99999, not a port"),
        (f"--multi_gpu --num_processes 2 --num_machines 2 {MEET}", "main_process_port is 0"),
    ],
)
def test_what_cannot_start_is_an_error(words: str, said: str):
    (one,) = found(words)
    assert one.startswith("ERROR")
    assert said in one


def test_processes_that_would_not_train_together_are_a_warning():
    (one,) = found("--num_processes 2")
    assert one.startswith(Level.WARNING.name)
    assert "multi_gpu is off" in one
