"""The desk of a review: what its page can start, and what is under way beside it."""

from __future__ import annotations

from collections.abc import Sequence

from kohya_ext.project.decisions.board_view import Action, BoardStatus


class ReviewDesk:
    """Starts nothing; subclasses do."""

    def actions(self) -> Sequence[Action]:
        """Return what may be started."""
        return ()

    def status(self) -> BoardStatus:
        """Return what is under way."""
        return BoardStatus()

    def act(self, name: str) -> str:
        """Start an action; return a sentence. ToolError says why not."""
        raise ValueError(f"{name!r} is not an action of this page.")

    def close(self) -> None:
        """End what was started."""


NO_DESK = ReviewDesk()
