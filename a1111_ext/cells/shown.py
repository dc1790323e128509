"""Pictures of cells under readable names: in showcase/, and beside the pages of grids.

They are links to those in cells/, or copies where somebody rated them or the disk cannot link; each
name ends with the start of its cell's key.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from kohya_ext.project.files import explained, link_or_copy, make_folder, move_file
from kohya_ext.project.json_reader import read_picture_bytes
from kohya_ext.project.pictures.identity import digest_without_xmp

from .ledger import Ledger
from .picture_store import DAMAGED

KEY_LENGTH = 8


def readable_name(words: str, key: str) -> str:
    """Return the file name under which a cell's picture is shown."""
    return f"{words}-{key[:KEY_LENGTH]}.png"


def show_as(source: Path, target: Path, *, whole: bool = False) -> Path | None:
    """Link or copy a cell's picture as `target`; another picture of that name is moved aside.

    Returns where that one is kept. Two of one size count as the same, unless `whole` is set: a page
    of a thousand pictures is written many times. Raises MachineError.
    """
    aside = None
    if target.exists():
        if _is_same(source, target, whole=whole):
            return None
        aside = _move_aside(target)
    link_or_copy(source, target)
    return aside


def _is_same(source: Path, target: Path, *, whole: bool) -> bool:
    """Whether both are one picture, byte for byte but for the XMP that a rating has changed."""
    with explained(target, reading=True):
        if source.samefile(target):
            return True
        if not whole and source.stat().st_size == target.stat().st_size:
            return True
        before, now = read_picture_bytes(source), read_picture_bytes(target)
    return before == now or digest_without_xmp(before) == digest_without_xmp(now)


def _move_aside(path: Path) -> Path:
    aside = path.parent / DAMAGED / path.name
    make_folder(aside.parent)
    if aside.exists():
        aside = aside.with_name(f"{path.stem}-{secrets.token_hex(2)}{path.suffix}")
    move_file(path, aside)
    return aside


@dataclass(frozen=True)
class ShownPictures:
    """What became of the pictures shown in a folder: sentences on those that were not theirs."""

    intact: int
    repaired: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """All sentences."""
        return (*self.repaired, *self.lost)


def repair_shown(folder: Path, ledger: Ledger) -> ShownPictures:
    """Compare the pictures in a folder with their cells; what differs is moved aside.

    It is linked again from cells/ at once, or lost where that one is not what it was either: then
    the command that drew it draws it again. Pictures of no cell are left alone.
    """
    shown = _keys_of(folder, ledger)
    done = ledger.done_among(set(shown.values()))
    known = ledger.hashes(set(shown.values()) - done)
    intact, repaired, lost = 0, list[str](), list[str]()
    for path, key in sorted(shown.items()):
        if key in done:
            aside = show_as(ledger.picture_path(key), path, whole=True)
        elif known.get(key, "") in ("", digest_without_xmp(read_picture_bytes(path))):
            aside = None  # the only good copy that is left, or one that nobody can judge
        else:
            aside = _move_aside(path)
        if aside is None:
            intact += 1
            continue
        where = f"{path.name} was not the picture that was drawn; it is kept as {aside}"
        if key in done:
            repaired.append(f"{where}, the right one is there again")
        else:
            lost.append(f"{where}, to be drawn again")
    return ShownPictures(intact, tuple(repaired), tuple(lost))


def _keys_of(folder: Path, ledger: Ledger) -> dict[Path, str]:
    """Return the pictures in a folder that are a cell's, with its key."""
    by_start = defaultdict[str, list[str]](list)
    for key in ledger.drawn_keys():
        by_start[key[:KEY_LENGTH]].append(key)
    found = {}
    for path in folder.glob(f"*-{'[0-9a-f]' * KEY_LENGTH}.png"):
        keys = by_start.get(path.stem[-KEY_LENGTH:], [])
        if len(keys) == 1 and path.is_file():
            found[path] = keys[0]
    return found
