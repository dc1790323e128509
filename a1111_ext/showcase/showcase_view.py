"""The board's view of a showcase: ratings 1, 2, 5 and reject, a mark to upscale, and the order.

What may be started from the page, and what is in progress, a desk says; without one it is a board
for deciding only.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kohya_ext.project import Project, ToolError
from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.decisions.board_view import (
    Action,
    BoardStatus,
    BoardView,
    DecisionOption,
    Item,
    Mark,
)
from kohya_ext.project.decisions.role_plan import memory_of
from kohya_ext.project.pictures.thumbnails import read_thumbnail, thumbnail_path

from .album import RECORDS_NAME, OwnPictures, ShowPicture, read_album
from .arrangement import arrange
from .desk import NO_DESK, ReviewDesk
from .file_ratings import FileRatings
from .hit_rate import hit_report
from .picture_distance import make_distance
from .ratings import Rating
from .review import PLACE, adopt_review_file, read_review
from .templates import plain_checkpoint

_log = logging.getLogger(__name__)


class ShowcaseView(BoardView):
    """The pictures in showcase/, as they come; `start` makes thumbnails beside the page."""

    kind = DecisionKind.RATING
    way = "review"
    choices: tuple[DecisionOption, ...] = (
        DecisionOption("1", Rating.SHOWCASE.value, "Showcase"),
        DecisionOption("2", Rating.FOLLOW_UP.value, "Follow-up"),
        DecisionOption("5", Rating.PLACED.value, "Posted"),
        DecisionOption("x", Rating.DROP.value, "Reject", is_out=True),
    )
    marks: tuple[Mark, ...] = (Mark("u", DecisionKind.UPSCALE, "Upscale"),)
    facets: tuple[str, ...] = ("Checkpoint", "Template", "Picture")
    order_of = Rating.SHOWCASE.value
    nothing = "No pictures yet. They appear here when they are drawn."

    def __init__(self, project: Project, desk: ReviewDesk = NO_DESK) -> None:
        self.title = f"{project.manifest.trigger_word}: showcase"
        self.reviews_db = project.reviews_db
        self.thumbs_dir = project.cache_dir / "thumbs"
        self._project, self._desk = project, desk
        self._own = OwnPictures()
        self._files = FileRatings(project)
        self._memory = memory_of(project)
        self._lock = threading.RLock()
        self._pictures: dict[str, ShowPicture] = {}
        self._keys: dict[str, str] = {}
        self._news: list[str] = []
        self._seen: object = None
        self._sizes: dict[str, tuple[int, int]] = {}
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        adopt_review_file(project)

    # -- what is shown ----------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to make thumbnails in the background, once."""
        self._refresh()
        with self._lock:
            if self._thread is None:
                self._news.append("")  # a number above 0 asks for news
                self._thread = threading.Thread(target=self._look, name="showcase", daemon=True)
                self._thread.start()
        self._wake.set()

    def stop(self) -> None:
        """Stop making thumbnails, and what the desk has in progress."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=30)
            self._agree()  # the last decisions, too
        self._desk.close()

    def items(self) -> Sequence[Item]:
        """Return the pictures in the order in which they came."""
        self._refresh()
        with self._lock:
            return [self._item(key, one) for key, one in self._pictures.items()]

    def news(self, number: int) -> tuple[int, Sequence[Item]]:
        """Return what came or was found out since an earlier call."""
        if number:
            self._refresh()
            self._wake.set()
        with self._lock:
            keys = [key for key in dict.fromkeys(self._news[number:]) if key in self._pictures]
            items = [self._item(key, self._pictures[key]) for key in keys] if number else []
            return len(self._news), items

    def _refresh(self) -> None:
        """Read the album again where the folder or its records changed."""
        folder = self._project.showcase_dir
        seen = (_stamp(folder), _stamp(folder / RECORDS_NAME))
        with self._lock:
            if seen == self._seen:
                return
            album = read_album(self._project, self._own)
            keys = self._keys_of(album)
            added = [key for key in keys if key not in self._pictures]
            self._pictures = keys
            self._keys = {one.file: key for key, one in keys.items()}
            self._news += added
            self._seen = seen
        self._wake.set()

    def _keys_of(self, album: Sequence[ShowPicture]) -> dict[str, ShowPicture]:
        """Return the pictures by key: that of the cell, or the content of a picture by hand."""
        folder = self._project.showcase_dir
        content = self._memory.keys_of([folder / one.file for one in album if not one.key])
        found = {}
        for one in album:
            held = one.key or content.get(folder / one.file, "")
            found[held if one.key else _digest(f"{held}/{one.file}")] = one
        return found

    def _item(self, key: str, one: ShowPicture) -> Item:
        checkpoint = plain_checkpoint(one.checkpoint)
        pair = one.upscaled_from or one.detailed_from
        version = _kind_of(one) if pair else ""
        return Item(
            key,
            one.file,
            self._project.showcase_dir / one.file,
            *self._sizes.get(key, (0, 0)),
            note=", ".join(filter(None, (version, one.framing, checkpoint, f"seed {one.seed}"))),
            framing=one.framing,
            facets=(checkpoint or "unknown", one.template or "none", _kind_of(one)),
            tags=tuple(dict.fromkeys(map(option_of, one.picks))),
            pair=self._keys.get(pair, ""),
        )

    def subject_of(self, key: str) -> str:
        """Return the name that decisions on a picture are kept under."""
        with self._lock:
            one = self._pictures.get(key)
        return f"{PLACE}/{one.file}" if one else ""

    def key_of(self, subject: str) -> str:
        """Return the key of a picture; "" for one that is not there any more."""
        with self._lock:
            return self._keys.get(subject.removeprefix(f"{PLACE}/"), "")

    def facts_of(self, key: str) -> Sequence[tuple[str, str]]:
        """Return what made a picture."""
        with self._lock:
            one = self._pictures.get(key)
        if one is None:
            return ()
        rows = [
            ("File", one.file),
            ("Checkpoint", one.checkpoint),
            ("LoRA", f"{one.lora}, weight {one.lora_weight}" if one.lora else ""),
            ("Seed", str(one.seed)),
            ("Framing", one.framing),
            ("Prompt", one.prompt),
            ("Negative prompt", one.negative_prompt),
            ("Template", one.template),
            ("Upscaled from", one.upscaled_from),
            ("ADetailer on", one.detailed_from),
        ]
        rows += [
            (
                pick.variant[:60],
                (pick.option or "(nothing)") + (f" ({pick.where})" * bool(pick.where)),
            )
            for pick in one.picks
        ]
        return [row for row in rows if row[1]]

    # -- thumbnails -------------------------------------------------------------------------------

    def _agree(self) -> None:
        """Hear viewers' ratings, and write ours into the files."""
        with self._lock:
            files = [one.file for one in self._pictures.values()]
        try:
            self._files.agree(files)
        except (ToolError, OSError) as error:
            _log.warning("the ratings in the files of the showcase: %s", error)

    def _look(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._wake.clear()
            self._agree()
            with self._lock:
                waiting = [(key, one.file) for key, one in self._pictures.items()]
            for key, file in waiting:
                self._wait_for_page(self._stop)
                if self._stop.is_set():
                    return
                self._look_at(key, self._project.showcase_dir / file)

    def _look_at(self, key: str, path: Path) -> None:
        try:
            if key not in self._sizes:
                self._sizes[key] = _size_of(path)
            if not thumbnail_path(self.thumbs_dir, key).exists():
                read_thumbnail(self.thumbs_dir, key, path)
        except (ToolError, OSError, ValueError, SyntaxError) as error:
            self._sizes.setdefault(key, (0, 0))
            _log.info("%s has no thumbnail: %s", path, error)

    # -- the order --------------------------------------------------------------------------------

    def order(self) -> Sequence[str]:
        """Return the keys in the order that a person gave them."""
        with DecisionStore(self.reviews_db) as store:
            found = store.find(DecisionKind.ORDER, PLACE)
        files = found.value if found else ()
        return [self._keys[file] for file in files if file in self._keys]

    def ordered(self, keys: Sequence[str]) -> Mapping[DecisionKind, Mapping[str, Any]]:
        """Return the decision that keeps an order."""
        with self._lock:
            files = [self._pictures[key].file for key in keys]
        return {DecisionKind.ORDER: {PLACE: files or None}}

    def arranged(self, keys: Sequence[str]) -> Sequence[str]:
        """Return keys so that equal framings, then checkpoints, touch as rarely as can be."""
        with self._lock:
            pictures = [self._pictures[key] for key in keys]
        distance = make_distance(self._project.showcase_dir, len(pictures))
        return [self._keys[one.file] for one in arrange(pictures, distance)]

    def following(self, values: Mapping[str, Any]) -> Mapping[DecisionKind, Mapping[str, Any]]:
        """Let a person's order follow ratings: a new 1 goes to its end, others leave it."""
        with DecisionStore(self.reviews_db) as store:
            found = store.find(DecisionKind.ORDER, PLACE)
        if found is None:
            return {}
        rated = {subject.removeprefix(f"{PLACE}/"): value for subject, value in values.items()}
        stay = [file for file in found.value if rated.get(file, self.order_of) == self.order_of]
        stay += [f for f, value in rated.items() if value == self.order_of and f not in stay]
        return {DecisionKind.ORDER: {PLACE: stay or None}}

    def report(self) -> Sequence[Mapping[str, Any]]:
        """Return the hit rates of what is rated."""
        with self._lock:
            album = tuple(self._pictures.values())
        return hit_report(album, read_review(self._project).ratings).tables()

    # -- the desk ---------------------------------------------------------------------------------

    def actions(self) -> Sequence[Action]:
        """Return what the desk can start."""
        return self._desk.actions()

    def status(self) -> BoardStatus:
        """Return what the desk has in progress."""
        return self._desk.status()

    def act(self, name: str, values: Mapping[str, Any]) -> str:
        """Let the desk start something."""
        return self._desk.act(name, str(values.get("choice", "")))


def option_of(pick: Any) -> str:
    """Return a pick as one filter: variant and option."""
    variant = pick.variant if len(pick.variant) <= 40 else pick.variant[:39] + "…"
    return f"{variant}: {pick.option or '(nothing)'}"


def _kind_of(one: ShowPicture) -> str:
    if one.detailed_from:
        return "ADetailer"
    if one.upscaled_from:
        return "upscaled"
    return "drawn" if one.key else "by hand"


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _size_of(path: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(path) as opened:
        width, height = opened.size
    return width, height


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:40]
