"""Ratings in the files of a showcase, for viewers such as FastStone and Bridge, and back.

1, 2 and 5 are stars, a rejected picture is -1; 3 and 4 stars say nothing here. The newest word
counts. Pixels and generation data stay as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from kohya_ext.project import Project, ToolError
from kohya_ext.project.decisions import DecisionKind, DecisionStore, Statement
from kohya_ext.project.decisions.role_plan import VIEWER
from kohya_ext.project.pictures.ratings import read_rating, sidecars_of, write_rating

from .ratings import Rating
from .review import PLACE

_STARS = {Rating.SHOWCASE: 1, Rating.FOLLOW_UP: 2, Rating.PLACED: 5, Rating.DROP: -1}
_RATINGS = {stars: rating for rating, stars in _STARS.items()}
_log = logging.getLogger(__name__)


class FileRatings:
    """Keeps the decisions on a showcase and the ratings in its files the same."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._stamps: dict[str, tuple[int, ...]] = {}
        self._said: dict[str, int] = {}
        self._failed: set[str] = set()

    def agree(self, files: Iterable[str]) -> int:
        """Hear what viewers wrote since the last time, write what was decided; count the changes.

        A file that cannot be changed is left alone, once and for all.
        """
        names = tuple(files)
        return self.hear(names) + self.write(names)

    def hear(self, files: Iterable[str]) -> int:
        """Take ratings that viewers wrote as decisions; return how many are new."""
        statements: dict[str, Statement] = {}
        for name in files:
            stamp = self._stamp(name)
            if stamp == self._stamps.get(name):
                continue
            self._stamps[name] = stamp
            found = read_rating(self._project.showcase_dir / name)
            self._said[name] = found.rating if found else 0
            rating = _RATINGS.get(self._said[name])
            changed_at = found.changed_at if found else None
            statement = Statement(rating.value if rating else None, changed_at)
            statements[f"{PLACE}/{name}"] = statement
        if not statements:
            return 0
        with DecisionStore(self._project.reviews_db) as store:
            return len(store.notice(DecisionKind.RATING, VIEWER, statements))

    def write(self, files: Iterable[str]) -> int:
        """Write what was decided into the files that say otherwise; return how many changed."""
        with DecisionStore(self._project.reviews_db) as store:
            values = store.values(DecisionKind.RATING)
            written: dict[str, str | None] = {}
            for name in files:
                value = values.get(f"{PLACE}/{name}")
                said = self._said.get(name, 0)
                wanted = _STARS[Rating(value)] if value else 0
                if wanted == said or name in self._failed or (not value and said not in _RATINGS):
                    continue
                try:
                    write_rating(self._project.showcase_dir / name, wanted)
                except ToolError as error:
                    self._failed.add(name)
                    _log.warning("%s", error)
                    continue
                self._said[name], self._stamps[name] = wanted, self._stamp(name)
                written[f"{PLACE}/{name}"] = value
            store.note_seen(VIEWER, written)
        return len(written)

    def _stamp(self, name: str) -> tuple[int, ...]:
        """Return what tells that a file or its sidecars were changed."""
        path = self._project.showcase_dir / name
        found: list[int] = []
        for one in (path, *sidecars_of(path)):
            try:
                status = one.stat()
            except OSError:
                continue
            found += (status.st_mtime_ns, status.st_size, status.st_ino)
        return tuple(found)
