"""The grids of one folder as the page server hands them out: pages, pictures, votes, choices.

The page of a project's grid can also promote the epoch that is chosen on it.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kohya_ext.project import MANIFEST_NAME, Project, ToolError, open_project
from kohya_ext.project.epochs import read_epoch_file
from kohya_ext.project.json_reader import parse_json
from kohya_ext.project.server import NOT_FOUND, TYPES, FolderShare, PageAnswer, PageRequest

from ..choice import EpochChoice, KeptChoice, parse_choice, write_choice
from .votes import PAGE_NAME, keep_votes, read_votes, with_votes

if TYPE_CHECKING:
    from ...publish.promote import PromotePlan

GRIDS = "grids"
CHOICE = "choice"
"""Where a page sends its choice: this name beside it."""

VOTES = "votes"
"""Where it hears the newest votes."""

PROMOTE = "promote"
"""Where it sends choice and name of the LoRA to be promoted."""

_NOT_SERVED = b'"served":""'
"""How a page learns where its choice goes; no text in the page's JSON can hold it."""


class PromotionHost:
    """Where promoted files are shown besides the project: nowhere, unless a WebUI shows them."""

    def check(self, plan: PromotePlan) -> None:
        """Raise ConflictError when something there has the name already."""

    def show(self, project: Project) -> str:
        """Show the promoted file; return a sentence that says where, or ""."""
        return ""


NOWHERE = PromotionHost()


@dataclass(frozen=True)
class GridShare:
    """The folder `grids` below `root`; a project's pages may also send the epoch that is chosen."""

    root: Path
    on_choice: Callable[[EpochChoice, KeptChoice], None] = lambda choice, kept: None
    host: PromotionHost = NOWHERE
    may_promote: bool = True
    """Not in a network: a page there looks, votes and chooses."""

    def answer(self, request: PageRequest) -> PageAnswer:
        """Return a file below `grids`, or keep what a page sends."""
        files = FolderShare(self.root, GRIDS, self._page)
        beside, _, name = request.path.rpartition("/")
        page = files.find(f"{beside}/{PAGE_NAME}")
        if request.body is None:
            return (
                files.answer(request)
                if page is None or name != VOTES
                else _json(read_votes(page.parent))
            )
        names = (PAGE_NAME, CHOICE, PROMOTE)[: (2 + self.may_promote) if self._is_project else 1]
        if page is None or name not in names:
            return NOT_FOUND
        text = request.body.decode("utf-8")
        if name == PAGE_NAME:
            return _json(keep_votes(page, text))
        if name == CHOICE:
            self._keep_choice(text)
            return PageAnswer(204)
        return PageAnswer(200, self._promote(text).encode("utf-8"))

    def _keep_choice(self, text: str) -> Path:
        choice = parse_choice(text)
        kept = write_choice(open_project(self.root), choice)
        self.on_choice(choice, kept)
        return kept.path

    def _promote(self, text: str) -> str:
        """Promote the chosen epoch under the name that the page sent; return what is to be said."""
        from ...publish.promote import apply_promotion, plan_promotion

        data = parse_json(text)
        if not isinstance(data, dict) or not isinstance(data.get("name"), str):
            raise ValueError("it contains no name")
        source = self._keep_choice(json.dumps(data.get("choice")))
        project = open_project(self.root)
        plan = plan_promotion(project, read_epoch_file(source), data["name"].strip())
        self.host.check(plan)
        promotion = apply_promotion(project, plan)
        said = f"{promotion.source} is promoted as {promotion.name}."
        return f"{said} {self.host.show(project)}".strip()

    def _page(self, path: Path) -> bytes:
        if path.name != PAGE_NAME:
            return path.read_bytes()
        page = with_votes(path)
        if not self._is_project:
            return page
        name = json.dumps(self._free_name())
        served = f'"served":"{CHOICE}"'
        if self.may_promote:
            served += f',"promote":"{PROMOTE}","promote_name":{name}'
        return page.replace(_NOT_SERVED, served.encode("ascii"), 1)

    @property
    def _is_project(self) -> bool:
        return (self.root / MANIFEST_NAME).is_file()

    def _free_name(self) -> str:
        """Return a simple name that no promoted file has: the trigger word and a version."""
        try:
            project = open_project(self.root)
        except ToolError:
            return ""
        word = re.sub(r"[^A-Za-z0-9]+", "-", project.manifest.trigger_word).strip("-") or "lora"
        names = (f"{word}-v{number}" for number in itertools.count(1))
        free = (one for one in names if not (project.publish_dir / f"{one}.safetensors").exists())
        return next(free)


def _json(data: object) -> PageAnswer:
    return PageAnswer(200, json.dumps(data).encode("ascii"), TYPES[".json"])


def share_of(file: Path, host: PromotionHost = NOWHERE) -> tuple[GridShare, str]:
    """Return the share of a grid's page or sheet, and the file's path in it."""
    root = file.parents[2]
    return GridShare(root, host=host), file.relative_to(root).as_posix()
