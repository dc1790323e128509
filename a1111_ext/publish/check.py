"""One check of a pack: what it looked at, how it ended, and the refusal it may be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from kohya_ext.project import InputError, ToolError


class CheckState(str, Enum):
    """How a check ended."""

    PASSED = "passed"
    TO_DO = "to do"
    NOT_CHECKED = "not checked"
    REFUSED = "refused"


@dataclass(frozen=True)
class Check:
    """One check: `detail` is a whole sentence; a refusal has a code, a cure and its class."""

    what: str
    state: CheckState
    detail: str
    code: str = ""
    cure: str = ""
    error: type[ToolError] = InputError

    def require(self) -> None:
        """Raise the refusal, of its class."""
        if self.state is CheckState.REFUSED:
            raise self.error(self.code, self.detail, self.cure)


def passed(what: str, detail: str) -> Check:
    """Return a check that found nothing wrong."""
    return Check(what, CheckState.PASSED, detail)


def to_do(what: str, detail: str) -> Check:
    """Return a check that leaves something to a person."""
    return Check(what, CheckState.TO_DO, detail)


def refused(
    what: str, code: str, detail: str, cure: str, error: type[ToolError] = InputError
) -> Check:
    """Return a check that stops publishing."""
    return Check(what, CheckState.REFUSED, detail, code, cure, error)
