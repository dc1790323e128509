"""The board: one static page on which people decide, and the JSON that it speaks.

A view says which pictures there are and what may be decided on them; captions come from a desk
that the caller brings. Every decision is in reviews.db before the page is told so.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from ..errors import InputError
from ..json_reader import parse_json, read_picture_bytes
from ..pictures.thumbnails import large_picture, read_thumbnail
from ..server import OWN_PAGE, TYPES, PageAnswer, PageRequest, package_files
from .board_view import Action, BoardStatus, BoardView, DecisionOption, Item, Mark
from .decision import Decision, DecisionKind
from .store import DecisionStore

PAGE_NAME = "board.html"
_LONG_SECONDS = 31_536_000
_MOST_SHOWN = 200
_ONLY_DECIDES = "Here you can only look and decide. Draw and publish on the project's machine."
_SHOWN_AS_THEY_ARE = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")


class CaptionEditor(Protocol):
    """Edits captions: see kohya_ext.captions.desk."""

    @property
    def prefix(self) -> str: ...

    def captions(self, edits: Mapping[str, Any]) -> Mapping[str, Any]: ...

    def caption(self, key: str, value: Mapping[str, Any] | None) -> Any: ...

    def knows(self, key: str) -> bool: ...

    def edited(
        self, key: str, value: Mapping[str, Any] | None, change: Mapping[str, Any]
    ) -> dict[str, Any] | None: ...

    def changed_outside(
        self, keys: Collection[str] | None, edits: Mapping[str, Any]
    ) -> Mapping[str, Any]: ...

    def write(self, values: Mapping[str, Any]) -> None: ...

    def complete(self, begun: str, counts: Mapping[str, int]) -> list[str]: ...

    def tags(self) -> dict[str, Any]: ...

    def chosen(self, values: Mapping[str, Any]) -> Mapping[str, Any]: ...

    def preview_tags(
        self, values: Mapping[str, Any], edits: Mapping[str, Any]
    ) -> Sequence[tuple[str, str, str]]: ...

    def choose_tags(self, values: Mapping[str, Any]) -> None: ...

    def write_all(self, edits: Mapping[str, Any]) -> None: ...

    def count_tokens(self, text: str) -> tuple[int, bool]: ...

    def close(self) -> None: ...


OpenDesk = Callable[[], CaptionEditor]


class BoardShare:
    """Answers what a board's page asks; give it to a page server, or to a host's own routes.

    Without `may_act` the page only looks and decides: what a network gets.
    """

    def __init__(
        self, view: BoardView, open_desk: OpenDesk | None = None, *, may_act: bool = True
    ) -> None:
        self.view = view
        self._may_act = may_act
        self._open_desk = open_desk
        self._desk: CaptionEditor | None = None
        self._lock = threading.RLock()
        self._items: dict[str, Item] = {}
        self._store = DecisionStore(view.reviews_db)

    def close(self) -> None:
        """Stop looking at pictures, and close the store."""
        self.view.stop()
        if self._desk is not None:
            self._desk.close()
        self._store.close()

    def answer(self, request: PageRequest) -> PageAnswer:
        """Answer one request; ValueError and ToolError are the server's to word."""
        path = request.path
        if path != "changes.json":
            self.view.give_way()
        if request.body is not None:
            return self._take(path, request)
        if path in _assets():
            kind = TYPES[Path(path).suffix]
            return PageAnswer(200, _assets()[path], kind, OWN_PAGE)
        folder, _, rest = path.partition("/")
        if folder in ("thumb", "large", "picture"):
            return self._picture(folder, rest)
        answers: Mapping[str, Callable[[Mapping[str, str]], Any]] = {
            "state.json": self._state,
            "changes.json": self._changes,
            "captions.json": self._captions,
            "complete.json": self._complete,
            "tags.json": lambda query: self._require_desk().tags(),
            "tokens.json": lambda query: self._require_desk().count_tokens(query.get("q", "")),
            "history.json": self._history,
            "facts.json": lambda query: self.view.facts_of(query.get("key", "")),
            "report.json": lambda query: self.view.report(),
        }
        found = answers.get(path)
        return _json(found(request.query)) if found else PageAnswer(404, b"There is no such page.")

    # -- what is shown ------------------------------------------------------------------------

    def _state(self, query: Mapping[str, str]) -> Any:
        view = self.view
        view.start()
        number = self._store.last_number()
        facts, _ = view.news(0)
        items = view.items()
        with self._lock:
            self._items = {one.key: one for one in items}
        held = self._by_key(self._store.current(view.kind))
        marks = [self._by_key(self._store.current(one.kind)) for one in view.marks]
        return {
            "id": hashlib.sha256(f"{view.kind}{view.reviews_db}".encode()).hexdigest()[:16],
            "title": view.title,
            "nothing": view.nothing,
            "choices": [vars(one) for one in view.choices],
            "marks": [{"key": one.key, "label": one.label} for one in view.marks],
            "facets": view.facets,
            "orderOf": view.order_of,
            "items": [one.as_list() for one in items],
            "values": {key: [one.value, one.way] for key, one in held.items()},
            "marked": [list(one) for one in marks],
            "order": view.order(),
            "actions": [vars(one) for one in view.actions()] if self._may_act else [],
            "note": _ONLY_DECIDES if view.actions() and not self._may_act else "",
            "status": view.status().as_dict(),
            "hasCaptions": self._open_desk is not None,
            "number": number,
            "facts": facts,
        }

    def _by_key(self, decisions: Mapping[str, Decision]) -> dict[str, Decision]:
        """Return decisions by the keys of this board's pictures."""
        found = ((self.view.key_of(subject), one) for subject, one in decisions.items())
        with self._lock:
            return {key: one for key, one in found if key in self._items}

    def _changes(self, query: Mapping[str, str]) -> Any:
        since, facts = _whole(query, "since"), _whole(query, "facts")
        number, items = self.view.news(facts)
        changes = self._store.since(since)  # with the roles of new pictures
        with self._lock:
            self._items |= {one.key: one for one in items}
        reply = self._reply_to(changes)
        reply["number"] = changes[-1].number if changes else since
        rows = [one.as_list() for one in items]
        return {**reply, "facts": number, "items": rows, "status": self.view.status().as_dict()}

    def _reply_to(self, changes: Sequence[Decision]) -> dict[str, Any]:
        """Return what a page must know of changes: values by key, and captions again."""
        view = self.view
        own = {
            view.key_of(one.subject): (one.value, one.way)
            for one in changes
            if one.kind is view.kind
        }
        captions = [one.subject for one in changes if one.kind is DecisionKind.CAPTION]
        kinds = {one.kind for one in changes}
        if DecisionKind.TAG in kinds and self._desk is not None:
            self._desk.choose_tags(self._store.values(DecisionKind.TAG))
            captions = [key for key in self._items if self._desk.knows(key)]
        reply: dict[str, Any] = {"values": {key: [*pair] for key, pair in own.items() if key}}
        if any(one.kind in kinds for one in view.marks):
            reply["marked"] = [
                {view.key_of(each.subject): each.value for each in changes if each.kind is one.kind}
                for one in view.marks
            ]
        if DecisionKind.ORDER in kinds and view.order_of:
            reply["order"] = view.order()
        reply["number"] = max((one.number for one in changes), default=self._store.last_number())
        if DecisionKind.TAG in kinds:
            reply["tags"] = True
        if captions and self._desk is not None:
            edits = self._store.values(DecisionKind.CAPTION)
            reply["captions"] = {
                key: self._desk.caption(key, edits.get(key)).as_dict()
                for key in dict.fromkeys(captions)
                if self._desk.knows(key)
            }
        return reply

    def _captions(self, query: Mapping[str, str]) -> Any:
        with self._lock:
            self._desk = None  # a page that is loaded again shows what was staged meanwhile
        desk = self._require_desk()
        self._take_in()
        found = desk.captions(self._store.values(DecisionKind.CAPTION))
        return {
            "prefix": desk.prefix,
            "captions": {key: one.as_dict() for key, one in found.items()},
        }

    def _complete(self, query: Mapping[str, str]) -> Any:
        desk = self._require_desk()
        counts: dict[str, int] = {}
        for one in desk.captions(self._store.values(DecisionKind.CAPTION)).values():
            for tag in one.tags:
                counts[tag] = counts.get(tag, 0) + 1
        found = desk.complete(query.get("q", ""), counts)
        return [[tag, counts.get(tag, 0)] for tag in found]

    def _history(self, query: Mapping[str, str]) -> Any:
        key = self.view.subject_of(query.get("key", ""))
        return [[one.at, one.way, one.value] for one in self._store.history(self.view.kind, key)]

    def _picture(self, folder: str, key: str) -> PageAnswer:
        item = self._find(key)
        if item is None:
            return PageAnswer(404, b"There is no such picture.")
        kind = "image/jpeg"
        if folder == "thumb":
            content = read_thumbnail(self.view.thumbs_dir, key, item.path)
        elif folder == "picture" and item.path.suffix.lower() in _SHOWN_AS_THEY_ARE:
            content, kind = (
                read_picture_bytes(item.path),
                TYPES[item.path.suffix.lower()],
            )
        else:
            content = large_picture(item.path, key)
        return PageAnswer(200, content, kind, OWN_PAGE, _LONG_SECONDS)

    def _find(self, key: str) -> Item | None:
        with self._lock:
            if not self._items:
                self._items = {one.key: one for one in self.view.items()}
            return self._items.get(key)

    # -- what is decided ----------------------------------------------------------------------

    def _take(self, path: str, request: PageRequest) -> PageAnswer:
        if not request.is_json:
            raise ValueError("A board accepts application/json.")
        data = parse_json(request.body or b"{}")
        if not isinstance(data, dict):
            raise ValueError("A board accepts a JSON object.")
        takers: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "decide": self._decide,
            "undo": lambda data: self._turn(self._store.undo, data),
            "redo": lambda data: self._turn(self._store.redo, data),
            "mark": self._mark,
            "order": lambda data: self._keep_order(self._keys(data)),
            "arrange": lambda data: self._keep_order(self.view.arranged(self._keys(data))),
            "captions/preview": self._preview,
            "captions/apply": self._apply,
            "tags/preview": self._preview_tags,
            "tags/apply": self._apply_tags,
        }
        if path.startswith("act/"):
            if not self._may_act:
                raise ValueError(_ONLY_DECIDES)
            return _json({"said": self.view.act(path.removeprefix("act/"), data)})
        taker = takers.get(path)
        if taker is None:
            return PageAnswer(404, b"There is no such page.")
        with self._lock:
            return _json(taker(data))

    def _decide(self, data: Mapping[str, Any]) -> Any:
        known = {None, *(one.value for one in self.view.choices)}
        each = data.get("values")
        wanted = each if isinstance(each, dict) else None
        if wanted is None:
            wanted = dict.fromkeys(self._keys(data), data.get("value"))
        for value in wanted.values():
            if not isinstance(value, str | None) or value not in known:
                raise ValueError(f"{value!r} is not a choice of this board.")
        keys = self._keys({"keys": list(wanted)})
        values = {self.view.subject_of(key): wanted[key] for key in keys}
        together = {self.view.kind: values, **self.view.following(values)}
        return self._after(self._store.decide_together(together, self.view.way))

    def _turn(self, turn: Callable[..., Sequence[Decision]], data: Mapping[str, Any]) -> Any:
        """Undo or redo once, however often the page asks that did not hear the answer."""
        if self._desk is not None:
            self._take_in()
        return self._after(turn(self.view.way, request=str(data.get("request", ""))[:80]))

    def _mark(self, data: Mapping[str, Any]) -> Any:
        mark = next((one for one in self.view.marks if one.key == data.get("mark")), None)
        if mark is None:
            raise ValueError(f"{data.get('mark')!r} is not a mark of this board.")
        value = True if data.get("value") else None
        values = {self.view.subject_of(key): value for key in self._keys(data)}
        return self._after(self._store.decide(mark.kind, values, self.view.way))

    def _keep_order(self, keys: Sequence[str]) -> Any:
        decided = self.view.ordered(keys)
        return self._after(self._store.decide_together(decided, self.view.way))

    def _keys(self, data: Mapping[str, Any]) -> list[str]:
        keys = data.get("keys")
        if not isinstance(keys, list) or not keys:
            raise ValueError("No picture is given.")
        unknown = [key for key in keys if not isinstance(key, str) or self._find(key) is None]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not a picture of this board.")
        return keys

    def _after(self, changes: Sequence[Decision]) -> Any:
        """Let caption files follow, and tell the page."""
        edits = {one.subject: one.value for one in changes if one.kind is DecisionKind.CAPTION}
        if edits:
            self._require_desk().write(edits)
        if any(one.kind is DecisionKind.TAG for one in changes):
            desk = self._require_desk()
            desk.choose_tags(self._store.values(DecisionKind.TAG))
            desk.write_all(self._store.values(DecisionKind.CAPTION))
        return {**self._reply_to(changes), "count": len(changes)}

    def _planned(self, data: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Return the edit before and after a change for each picture that it changes."""
        desk, change = self._require_desk(), data.get("change")
        if not isinstance(change, dict):
            raise ValueError("No change is given.")
        keys = self._keys(data)
        self._take_in(keys)
        held = self._store.values(DecisionKind.CAPTION)
        found = {}
        for key in keys:
            if desk.knows(key):
                before, after = held.get(key), desk.edited(key, held.get(key), change)
                if desk.caption(key, before) != desk.caption(key, after):
                    found[key] = (before, after)
        return found

    def _take_in(self, keys: Sequence[str] | None = None) -> None:
        """Keep what other programs changed in caption files, before these are written again."""
        edits = self._store.values(DecisionKind.CAPTION)
        found = self._require_desk().changed_outside(keys, edits)
        if found:
            self._store.decide(DecisionKind.CAPTION, found, "caption file")

    def _preview(self, data: Mapping[str, Any]) -> Any:
        desk, planned = self._require_desk(), self._planned(data)
        shown = [
            [key, desk.caption(key, before).text, desk.caption(key, after).text]
            for key, (before, after) in list(planned.items())[:_MOST_SHOWN]
        ]
        return {"count": len(planned), "shown": shown}

    def _apply(self, data: Mapping[str, Any]) -> Any:
        edits = {key: after for key, (_, after) in self._planned(data).items()}
        return self._after(self._store.decide(DecisionKind.CAPTION, edits, self.view.way))

    def _preview_tags(self, data: Mapping[str, Any]) -> Any:
        self._take_in()
        edits = self._store.values(DecisionKind.CAPTION)
        found = self._require_desk().preview_tags(_fates(data), edits)
        return {"count": len(found), "shown": [list(one) for one in found[:_MOST_SHOWN]]}

    def _apply_tags(self, data: Mapping[str, Any]) -> Any:
        values = self._require_desk().chosen(_fates(data))
        self._take_in()
        return self._after(self._store.decide(DecisionKind.TAG, values, self.view.way))

    def _require_desk(self) -> CaptionEditor:
        with self._lock:
            if self._desk is None:
                if self._open_desk is None:
                    raise InputError(
                        "LL141",
                        "This board shows no captions.",
                        "Open the board of the project's pictures: loraloom board PROJECT",
                    )
                self._desk = self._open_desk()
            return self._desk


def _fates(data: Mapping[str, Any]) -> Mapping[str, Any]:
    values = data.get("values")
    if not isinstance(values, dict):
        raise ValueError("No tag is given.")
    return values


def _json(data: Any) -> PageAnswer:
    content = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    return PageAnswer(200, content, TYPES[".json"], OWN_PAGE)


def _whole(query: Mapping[str, str], name: str) -> int:
    value = query.get(name, "0")
    if not (value.isascii() and value.isdigit() and len(value) < 16):
        raise ValueError(f"{name} is not a number.")
    return int(value)


@lru_cache(maxsize=1)
def _assets() -> Mapping[str, bytes]:
    return dict(package_files(__package__ or "", "web"))


__all__ = [
    "PAGE_NAME",
    "Action",
    "BoardShare",
    "BoardStatus",
    "BoardView",
    "CaptionEditor",
    "DecisionOption",
    "Item",
    "Mark",
    "OpenDesk",
]
