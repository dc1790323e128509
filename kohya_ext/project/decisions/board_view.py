"""What a board shows: a view names its pictures, what may be decided on them, and what may be run.

The page and its JSON are in `board`; the training pictures' view is here beside it, the showcase's
in a1111_ext.showcase.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .decision import DecisionKind

_WAY_SECONDS = 0.3


@dataclass(frozen=True)
class DecisionOption:
    """One decision that may be made: its key on the keyboard, its value and its words."""

    key: str
    value: str
    label: str
    is_out: bool = False


@dataclass(frozen=True)
class Mark:
    """A yes-or-no decision beside the choices: its key, its kind, and its words."""

    key: str
    kind: DecisionKind
    label: str


@dataclass(frozen=True)
class Action:
    """Something that the page's button starts; `title` says what will happen.

    With `choices` it is a list to choose from, and the choice comes among the values. One that
    lasts has a `stop_label`, which its button shows meanwhile; pressed then, the choice is STOP.
    """

    name: str
    label: str
    title: str = ""
    choices: tuple[str, ...] = ()
    stop_label: str = ""


STOP = "stop"
"""What a page chooses to stop an action that lasts."""


@dataclass(frozen=True)
class Item:
    """One picture of a board; sizes in pixels, 0 while they are not known.

    `facets` belong to the view's, in their order; `tags` are what it can be filtered by;
    `pair` is the key of the picture that it is another version of.
    """

    key: str
    name: str
    path: Path
    width: int = 0
    height: int = 0
    sharpness: float = 0.0
    note: str = ""
    framing: str = ""
    group: int = 0
    facets: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    pair: str = ""

    def as_list(self) -> list[Any]:
        """Return plain values for JSON, short, for there are ten thousand of them."""
        row: list[Any] = [self.key, self.name, self.width, self.height, self.sharpness]
        if self.facets:
            row += [self.note, self.framing, self.group, self.facets, self.tags, self.pair]
        elif self.group:
            row += ["", "", self.group]
        return row


@dataclass(frozen=True)
class BoardStatus:
    """What is in progress beside the page: a sentence, and how much of it is done."""

    text: str = ""
    done: int = 0
    total: int = 0
    is_alarm: bool = False
    running: tuple[str, ...] = ()
    """The names of the actions that are in progress."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "text": self.text,
            "done": self.done,
            "total": self.total,
            "isAlarm": self.is_alarm,
            "running": self.running,
        }


class BoardView:
    """A board's words, its pictures, and which decisions are made there."""

    title: str
    kind: DecisionKind
    way: str
    choices: tuple[DecisionOption, ...]
    reviews_db: Path
    thumbs_dir: Path
    marks: tuple[Mark, ...] = ()
    facets: tuple[str, ...] = ()
    order_of: str = ""
    """The value that pictures have which are put into an order; "" where there is none."""
    nothing: str = "No pictures yet. Import some first."
    _asked_at: float = 0.0

    def start(self) -> None:
        """Begin to look at pictures in the background, once."""

    def stop(self) -> None:
        """End what was begun in the background."""

    def give_way(self) -> None:
        """Hear that the page asks for something, which goes before what nobody looks at."""
        self._asked_at = time.monotonic()

    def _wait_for_page(self, stop: threading.Event) -> None:
        """Wait, in the background, while the page asks for something every moment."""
        while time.monotonic() - self._asked_at < _WAY_SECONDS and not stop.is_set():
            stop.wait(_WAY_SECONDS)

    def items(self) -> Sequence[Item]:
        """Return all pictures."""
        raise NotImplementedError

    def news(self, number: int) -> tuple[int, Sequence[Item]]:
        """Return a new number, and the items that came or changed since an earlier one."""
        raise NotImplementedError

    def subject_of(self, key: str) -> str:
        """Return what a decision on a picture is kept under."""
        return key

    def key_of(self, subject: str) -> str:
        """Return the key of the picture that a decision is about; "" when it is not here."""
        return subject

    def facts_of(self, key: str) -> Sequence[tuple[str, str]]:
        """Return what is known of one picture, as names and values."""
        return ()

    def order(self) -> Sequence[str]:
        """Return the keys in the order that a person gave them."""
        return ()

    def ordered(self, keys: Sequence[str]) -> Mapping[DecisionKind, Mapping[str, Any]]:
        """Return the decision that keeps an order."""
        return {}

    def arranged(self, keys: Sequence[str]) -> Sequence[str]:
        """Return keys in an order that suits the pictures."""
        return keys

    def following(self, values: Mapping[str, Any]) -> Mapping[DecisionKind, Mapping[str, Any]]:
        """Return what else changes with decisions, by subject."""
        return {}

    def report(self) -> Sequence[Mapping[str, Any]]:
        """Return tables about what was decided: title, head, rows and a sentence each."""
        return ()

    def actions(self) -> Sequence[Action]:
        """Return what may be started from the page."""
        return ()

    def status(self) -> BoardStatus:
        """Return what is in progress."""
        return BoardStatus()

    def act(self, name: str, values: Mapping[str, Any]) -> str:
        """Start an action; return a sentence. ToolError and ValueError reach the page."""
        raise ValueError(f"{name!r} is not an action of this board.")
