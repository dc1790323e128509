"""What each further machine of a training on several must run."""

from __future__ import annotations

import pytest

from kohya_ext.training.config.call_values import launcher_words, processes_of
from kohya_ext.training.run.launch import commands_elsewhere

LAUNCH = ("python", "-m", "accelerate.commands.launch")
OWN = ("train_network.py", "--config_file", "/shared/run/config.toml")


def test_each_further_machine_has_its_rank():
    words = ("--num_machines", "3", "--num_processes", "3", "--main_process_ip", "10.0.0.5")
    second, third = commands_elsewhere((*LAUNCH, *words, *OWN))
    assert second == (*LAUNCH, "--machine_rank", "1", *words, *OWN)
    assert third == (*LAUNCH, "--machine_rank", "2", *words, *OWN)


def test_the_first_machines_rank_is_replaced():
    words = ("--num_machines", "2", "--machine_rank", "0")
    (second,) = commands_elsewhere((*LAUNCH, *words, *OWN))
    assert second == (*LAUNCH, "--machine_rank", "1", "--num_machines", "2", *OWN)


@pytest.mark.parametrize(
    "words",
    [
        ("--num_machines=2", "--machine_rank=0"),
        ("--num-machines", "2", "--machine-rank", "0"),
        ("--machine-rank=0", "--num_machines", "1", "--num-machines=2"),
    ],
    ids=["equals", "hyphens", "mixed"],
)
def test_every_spelling_of_accelerate_is_understood(words: tuple[str, ...]):
    (second,) = commands_elsewhere((*LAUNCH, *words, *OWN))
    kept = tuple(one for one in words if "rank" not in one and one != "0")
    assert second == (*LAUNCH, "--machine_rank", "1", *kept, *OWN)


def test_an_option_of_the_trainer_is_not_accelerates():
    own = (*OWN, "--num_machines", "7", "--machine_rank", "3")
    assert launcher_words(("--num_processes=2",)) == ("--num_processes=2",)
    assert processes_of(("--num_processes=2", "--num_machines=2")) == 2
    assert commands_elsewhere((*LAUNCH, "--num_machines=1", *own)) == ()
    (second,) = commands_elsewhere((*LAUNCH, "--num_machines=2", "--machine_rank", "0", *own))
    assert second == (*LAUNCH, "--machine_rank", "1", "--num_machines=2", *own)


@pytest.mark.parametrize(
    "command",
    [
        ("python", *OWN),
        (*LAUNCH, *OWN),
        (*LAUNCH, "--num_machines", "1", *OWN),
        (*LAUNCH, "--num_machines", "two", *OWN),
        ("python", *OWN, "--num_machines", "2"),
    ],
    ids=["plain", "no-number", "one", "not-a-number", "not-the-launchers"],
)
def test_one_machine_needs_no_other(command: tuple[str, ...]):
    assert commands_elsewhere(command) == ()
