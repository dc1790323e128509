"""Preflight of the processes and machines that accelerate starts.

It starts what it understands, and waits for machines that can never come.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv6Address

from ...project.numbers import whole_number
from ..config.call_values import launch_options
from .findings import Finding, error, warning

_TOGETHER = {"--multi_gpu", "--use_deepspeed", "--use_fsdp", "--use_tp", "--use_megatron_lm",
             "--tpu", "--mpirun_hostfile"}  # fmt: skip
"""Each makes accelerate start processes that train together."""
_NAME = re.compile(r"[\w.-]+")
"""A host's name or IPv4 address."""
_FREE = "training.overrides.extra_accelerate_launch_args"


def check_processes(launch: tuple[str, ...]) -> Iterator[Finding]:
    """Look at how many processes on how many machines are asked for, and how they meet."""
    options = launch_options(launch)
    counts = {}
    for name in ("--num_processes", "--num_machines"):
        text = options.get(name, "1")
        counts[name] = number = whole_number(text)
        if number is None or number < 1:
            yield error(
                "LL332",
                f"{name[2:]} is {text or 'empty'}, not a whole number of at least 1.",
                f"Set {name[2:]} to how many there are.",
            )
    processes, machines = counts["--num_processes"] or 1, counts["--num_machines"] or 1
    if "--multi_gpu" in options and processes < 2:
        yield error(
            "LL332",
            f"multi_gpu is on, but num_processes is {processes}: accelerate refuses that.",
            "Set num_processes to the number of GPUs, or switch multi_gpu off.",
        )
    elif processes > 1 and not options.keys() & _TOGETHER:
        yield warning(
            "LL332",
            f"num_processes is {processes}, but multi_gpu is off: on a machine with one GPU "
            "accelerate then starts a single process.",
            "Set multi_gpu to true.",
        )
    if machines > 1:
        yield from _check_machines(options, processes, machines)


def _check_machines(options: Mapping[str, str], processes: int, machines: int) -> Iterator[Finding]:
    if processes % machines:
        yield error(
            "LL332",
            f"num_processes is {processes}, which cannot be shared equally by {machines} machines.",
            "Set num_processes to the number of GPUs of all machines together.",
        )
    rank = options.get("--machine_rank", "0")
    if whole_number(rank) != 0:
        yield error(
            "LL332",
            f"--machine_rank is {rank or 'empty'}, but this command starts machine 0, which writes "
            "the epoch files, and prints the commands for the others.",
            f"Take --machine_rank out of {_FREE}, and run this on the first machine.",
        )
    address = options.get("--main_process_ip", "")
    if not _is_address(address):
        what = f"--main_process_ip is {address}" if address else "--main_process_ip is missing"
        yield error(
            "LL332",
            f"{what}: the {machines} machines meet at the address of the first one, given without "
            "a port.",
            f'Add "--main_process_ip 192.168.0.5" with its address to {_FREE}.',
        )
    port = whole_number(options.get("--main_process_port", "")) or 0
    if not 0 < port < 65536:
        yield error(
            "LL332",
            f"main_process_port is {port}, not a port at which {machines} machines can meet.",
            "Set main_process_port, for example to 29500, and open that port in the firewall.",
        )


def _is_address(text: str) -> bool:
    """Tell whether it names a host, without a port."""
    if _NAME.fullmatch(text):
        return True
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        IPv6Address(bare)
    except ValueError:
        return False
    return True
