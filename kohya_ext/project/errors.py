"""The errors that reach the user as a sentence: what is wrong, then what to do.

ToolError
├── InputError      a name, value or option cannot be used: correct it
│   └── UnknownCommand
├── MissingError    something needed is not there: make, name or install it
│   └── PackageMissing
├── DamagedError    a file is not what it should be: restore or replace it
├── ConflictError   something is in the way or in progress: move it, wait or stop it
├── MachineError    the operating system or a program refused: disk, permissions, start
├── RuleError       consent, content or access: there is no switch
├── HostError       a trainer, WebUI or GUI did not do what was asked
└── StoppedError    the user stopped it: the same command continues

A caller catches the class it can react to and never compares codes. A code names one problem for
people who look it up; its title is in `error_codes`, problem and cure where it is raised.
Programmers' mistakes stay ValueError and TypeError.
"""

from __future__ import annotations


class ToolError(Exception):
    """Tell the user what is wrong with which value and what to do about it.

    `code` is a key of `error_codes.TITLES`; `problem` and `cure` are whole sentences.
    """

    def __init__(self, code: str, problem: str, cure: str = "") -> None:
        super().__init__(code, problem, cure)
        self.code = code
        self.problem = problem
        self.cure = cure

    def __str__(self) -> str:
        sentence = f"{self.problem} {self.cure}".strip()
        return f"{sentence} [{self.code}]"


class InputError(ToolError):
    """A name, value or option that was given cannot be used."""


class UnknownCommand(InputError):
    """`loraloom` has no command of that name: exit code 2, as for any wrong usage."""


class MissingError(ToolError):
    """Something that is needed or named is not there."""


class PackageMissing(MissingError):
    """A Python package that this step needs is not installed."""


class DamagedError(ToolError):
    """A file or record is not what it should be."""


class ConflictError(ToolError):
    """A file is in the way, or other work is in progress."""


class MachineError(ToolError):
    """The operating system or a program of this machine refused."""


class RuleError(ToolError):
    """A rule on consent, content or access forbids it; no option switches it off."""


class HostError(ToolError):
    """A trainer, WebUI or GUI did not do what was asked."""


class StoppedError(ToolError):
    """The user stopped the work; the same command continues it."""
