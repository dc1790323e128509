"""A checkpoint's own VAE on a WebUI that continues drawing with one that was chosen before.

Measured on reForge 3b56b268: it notes a checkpoint's own VAE only if another one is chosen while
the checkpoint is loaded. One that is chosen later stays when none is asked for any more, whoever
asked for it, and infotexts name none. Loading the checkpoint again ends that.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from kohya_ext.project import ToolError

from .adetailer import models_of_adetailer
from .cell import Cell
from .model_files import NO_VAE
from .shared_file import SharedFile, server_name

KEPT_VAE = (
    "this WebUI continues drawing with the VAE of an earlier picture, and has no second "
    "checkpoint to load in between: restart it, then run this again"
)
_log = logging.getLogger(__name__)


def asks_for_vae(cell: Cell, settings: Mapping[str, Any]) -> bool:
    """Tell whether a picture is drawn with another VAE than its checkpoint's own, by its settings.

    ADetailer's counts: it is chosen for a part of the picture, and stays.
    """
    chosen = cell.vae or cell.override_settings.get("sd_vae") or settings.get("sd_vae") or ""
    return chosen not in NO_VAE or bool(models_of_adetailer(cell, "vae"))


class OwnVae:
    """What one backend knows of the VAE that its WebUI has loaded.

    `has_own` tells whether the WebUI draws a cell with its checkpoint's own; `load_again` loads a
    checkpoint by its title once more, and tells whether it could; `note` hears of a cell whose
    checkpoint has its own for certain.
    """

    def __init__(
        self,
        has_own: Callable[[Cell], bool],
        load_again: Callable[[str], bool],
        note: Callable[[Cell], None],
    ) -> None:
        self._has_own, self._load_again, self._note = has_own, load_again, note
        self._title = ""
        self._is_certain = False
        self._spoilt: set[str] = set()

    def forget(self) -> None:
        """Be certain of nothing: others may have drawn there, or it was restarted."""
        self._title, self._is_certain = "", False

    def prepare(self, cell: Cell, settings: Mapping[str, Any], *, has_one: bool) -> str:
        """Have the checkpoint's own VAE loaded for a cell that asks for none; say why it cannot be.

        A checkpoint that is only now loaded for the cell has its own: where a WebUI `has_one` at
        a time, that is each that follows another.
        """
        title = cell.checkpoint.title
        is_fresh = has_one and self._title != title and "" not in (self._title, title)
        self._is_certain = self._is_certain and title == self._title
        self._title = title
        if asks_for_vae(cell, settings):
            self._is_certain = False
            self._spoilt.add(title)
            return ""
        if self._is_certain:
            return ""
        if not (is_fresh or self._has_own(cell) or self._load_again(title)):
            if title in self._spoilt:
                return KEPT_VAE
            _log.warning(
                "Whether %s is drawn with its own VAE was not checked: this WebUI would continue "
                "with one that was chosen before, and has no second checkpoint to load in between.",
                title or "the checkpoint",
            )
        else:
            self._note(cell)
        self._spoilt.discard(title)
        self._is_certain = True
        return ""


class VaePictures(SharedFile):
    """Small pictures of checkpoints with their own VAE, by which all runs know it again."""

    def known(self, server: str, title: str) -> str:
        """Return the digest of a checkpoint's picture; "" where there is none."""
        with suppress(sqlite3.Error, OSError, ToolError, ValueError), self._transaction() as db:
            row = db.execute(
                "SELECT pixels FROM own_vaes WHERE server = ? AND checkpoint = ?",
                (server_name(server), title),
            ).fetchone()
            return str(row[0]) if row else ""
        return ""

    def note(self, server: str, title: str, pixels: str) -> None:
        """Keep the digest of a checkpoint's picture."""
        with suppress(sqlite3.Error, OSError, ToolError, ValueError), self._transaction() as db:
            db.execute(
                "REPLACE INTO own_vaes VALUES (?, ?, ?)", (server_name(server), title, pixels)
            )
