"""The board's view of a project's pictures: roles, with size, sharpness and near-duplicates.

What is not known of a picture yet is found in the background, while the page is shown already.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from ..errors import ToolError
from ..pictures import find_pictures
from ..pictures.alike import find_alike, groups_of
from ..pictures.facts import facts_of
from ..pictures.picture import open_upright
from ..pictures.thumbnails import keep_thumbnail, thumbnail_path
from ..project import Project
from .board_view import BoardView, DecisionOption, Item
from .decision import DecisionKind
from .role_plan import apply_roles, folder_source, memory_of, plan_roles
from .store import DecisionStore

_SAVE_EVERY = 40
_FIRST_LOOK_SECONDS = 5.0
_HEAD_START_SECONDS = 0.5
"""How long looking at pictures waits for the page's own first pictures."""
_log = logging.getLogger(__name__)


class PicturesView(BoardView):
    """Opens the pictures of a project for a board; `start` looks at those not known yet."""

    kind = DecisionKind.ROLE
    way = "board"
    choices: tuple[DecisionOption, ...] = (
        DecisionOption("1", "primary", "Primary"),
        DecisionOption("2", "supporting", "Supporting"),
        DecisionOption("0", "out", "Out", is_out=True),
    )

    def __init__(self, project: Project) -> None:
        self.title = project.manifest.trigger_word
        self.reviews_db = project.reviews_db
        self.thumbs_dir = project.cache_dir / "thumbs"
        self._project = project
        self._memory = memory_of(project)
        self._lock = threading.RLock()
        self._paths: dict[str, Path] = {}
        self._groups: dict[str, int] = {}
        self._news: list[str] = []
        self._stop = threading.Event()
        self._is_listed, self._wake = threading.Event(), threading.Event()
        self._folders: dict[str, int] = {}
        self._thread: threading.Thread | None = None

    def items(self) -> Sequence[Item]:
        """Return the pictures in source/ by name; moved ones change their role first."""
        folder = self._project.source_dir
        folders = {here: _stamp(here) for here, _, _ in os.walk(folder)} or {str(folder): 0}
        paths = list(find_pictures(folder)) if folder.is_dir() else []
        keys = self._memory.keys_of(paths)
        with DecisionStore(self.reviews_db) as store:
            apply_roles(store, plan_roles(store, [folder_source(self._project, keys)]))
        self._memory.save()
        with self._lock:
            self._folders = folders
            self._paths = {key: path for path, key in keys.items()}
        sizes = self._memory.sizes()
        found = [self._item(key, sizes.get(key)) for key in self._paths]
        self._is_listed.set()
        return found

    def news(self, number: int) -> tuple[int, Sequence[Item]]:
        """Return what came into source/ or was found out since an earlier call."""
        with self._lock:
            if number and any(_stamp(one) != stamp for one, stamp in self._folders.items()):
                before = self._paths
                self.items()
                self._news += [key for key in self._paths if key not in before]
                self._wake.set()
            keys = list(dict.fromkeys(self._news[number:]))
            now = len(self._news)
        wanted = [key for key in keys if key in self._paths] if number else []
        sizes = self._memory.sizes()
        return now, [self._item(key, sizes.get(key)) for key in wanted]

    def _item(self, key: str, size: tuple[int, int, float] | None) -> Item:
        path = self._paths[key]
        width, height, sharpness = size or (0, 0, 0.0)
        return Item(key, path.name, path, width, height, sharpness, group=self._groups.get(key, 0))

    def start(self) -> None:
        """Begin to look at pictures in the background: facts, thumbnails, near-duplicates."""
        with self._lock:
            if self._thread is not None:
                return
            self._news.append("")  # a number above 0 asks for news
            self._thread = threading.Thread(target=self._look, name="loraloom board", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop looking, and wait for the picture in hand."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def _look(self) -> None:
        try:
            self._is_listed.wait(_FIRST_LOOK_SECONDS)  # the first page has the machine to itself
            self._stop.wait(_HEAD_START_SECONDS)
            if not self._paths:
                self.items()
            while not self._stop.is_set():
                self._wake.clear()
                self._look_at_all()
                self._wake.wait()
        except (ToolError, OSError) as error:
            _log.warning("the board stopped reading pictures: %s", error)

    def _look_at_all(self) -> None:
        for number, (key, path) in enumerate(list(self._paths.items())):
            self._wait_for_page(self._stop)
            if self._stop.is_set():
                break
            if self._look_at(key, path) and number % _SAVE_EVERY == 0:
                self._memory.save()
        self._memory.save()
        if not self._stop.is_set():
            self._find_groups()

    def _look_at(self, key: str, path: Path) -> bool:
        has_facts = key in self._memory.sizes()
        if has_facts and thumbnail_path(self.thumbs_dir, key).exists():
            return False
        try:
            upright = open_upright(path)
        except ToolError:
            return False
        if not has_facts:
            self._memory.add_facts(key, facts_of(upright))
            self._tell([key])
        keep_thumbnail(self.thumbs_dir, key, upright)
        return True

    def _find_groups(self) -> None:
        facts = {key: one for key, one in self._memory.all_facts().items() if key in self._paths}
        groups = groups_of(find_alike(facts))
        with self._lock:
            self._groups = {
                key: number for number, keys in enumerate(groups, start=1) for key in keys
            }
        self._tell(list(self._groups))

    def _tell(self, keys: list[str]) -> None:
        with self._lock:
            self._news += keys


def _stamp(folder: str) -> int:
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:
        return 0
