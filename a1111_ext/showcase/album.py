"""The album: what lies in showcase/, and for each picture how it came about.

`pictures.jsonl` gets one line when a picture lands. Pictures that the user put there himself
count too, with what their infotext tells.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynprompts import Pick
from kohya_ext.project import Journal, Project, ToolError
from kohya_ext.project.numbers import whole_number
from kohya_ext.project.pictures import find_pictures, looks_like_a_picture
from kohya_ext.project.pictures.thumbnails import read_thumbnail
from kohya_ext.project.printable import is_text
from kohya_ext.project.wording import counted

from ..api.infotext import Infotext, parse_infotext, read_infotext
from ..api.lora_tags import lora_tags
from ..cells.cell import Cell
from ..cells.ledger import Ledger
from ..cells.picture_store import DAMAGED
from ..cells.shown import readable_name, repair_shown, show_as
from .framing import framing_in
from .templates import plain_checkpoint

RECORDS_NAME = "pictures.jsonl"
_PART_LENGTH = 48
_NAMED_FOLDERS = 3


@dataclass(frozen=True)
class ShowPicture:
    """One picture of the album; `lora_hash` is the WebUI's for the promoted LoRA.

    `checkpoint_sha256` may be its first digits only; `text_seed` is None when nobody noted it;
    `detailed_from` is the picture before ADetailer; `ignored` is the tag of another LoRA in the
    prompt for which the text has no hash: the WebUI drew without it; `is_grid` is the X/Y/Z plot's
    own picture of many.
    """

    file: str
    seed: int
    checkpoint: str
    prompt: str
    negative_prompt: str = ""
    framing: str = ""
    lora: str = ""
    lora_hash: str = ""
    lora_weight: str = ""
    checkpoint_sha256: str = ""
    key: str = ""
    text_seed: int | None = None
    template: str = ""
    upscaled_from: str = ""
    detailed_from: str = ""
    ignored: str = ""
    is_grid: bool = False
    picks: tuple[Pick, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; picks as [variant, option, where]."""
        values: dict[str, Any] = {**vars(self)}
        values["picks"] = [[pick.variant, pick.option, pick.where] for pick in self.picks]
        return values


def picture_name(lora: str, cell: Cell) -> str:
    """Return a picture's file name: LoRA, checkpoint, seed, and the start of the cell's key."""
    parts = (lora, plain_checkpoint(cell.checkpoint.title) or "checkpoint")
    plain = [re.sub(r"[^\w.-]+", "_", part)[:_PART_LENGTH].strip("._-") for part in parts]
    return readable_name("-".join([*plain, str(cell.seed)]), cell.key)


class Landing:
    """Put finished pictures into showcase/, byte for byte, and note how each came about."""

    def __init__(self, project: Project) -> None:
        self._folder, self._thumbs = project.showcase_dir, project.cache_dir / "thumbs"
        self._records = _records(project)
        self._noted = {entry.facts.get("file") for entry in self._records.entries("picture")}

    def land(self, picture: ShowPicture, source: Path) -> Path:
        """Land one picture; another one of its name is moved aside. Raises MachineError."""
        target = self._folder / picture.file
        show_as(source, target)
        if picture.file not in self._noted:
            self._records.append("picture", **picture.as_dict())
            self._noted.add(picture.file)
        if picture.key:
            with suppress(ToolError, OSError):  # the board makes it when it is looked at
                read_thumbnail(self._thumbs, picture.key, target)
        return target


def _records(project: Project) -> Journal:
    return Journal(project.showcase_dir / RECORDS_NAME)


class OwnPictures:
    """Remembers what pictures by hand tell, for who reads the album again and again."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], tuple[ShowPicture, ...]] = {}

    def read(self, path: Path, ours: tuple[str, str]) -> tuple[ShowPicture, ...]:
        """Return the picture in a file; nothing where it is none."""
        status = path.stat()
        stamp = (path.name, status.st_mtime_ns, status.st_size)
        if stamp not in self._known:
            self._known[stamp] = tuple(_own_picture(path, ours))
        return self._known[stamp]


def repair_showcase(project: Project) -> tuple[str, ...]:
    """Put right what lies in showcase/ under the names of our pictures; say what was wrong there.

    Another picture is kept in showcase/damaged/; those in subfolders, and one whose name is not
    UTF-8, are only named, since they cannot join. Raises MachineError.
    """
    folder = project.showcase_dir
    if not folder.is_dir():
        return ()
    pictures = list(find_pictures(folder))
    left_out = (
        *_left_in_subfolders(folder, pictures),
        *(
            f"left out: the name of {path.name} in {folder} is not UTF-8 text; rename it"
            for path in pictures
            if not is_text(path.name)
        ),
    )
    if not project.cells_db.exists():
        return left_out
    with Ledger(project.cells_db, project.cells_dir) as ledger:
        return (*repair_shown(folder, ledger).sentences, *left_out)


def _left_in_subfolders(folder: Path, pictures: Iterable[Path]) -> Iterator[str]:
    """Name the pictures below showcase/ that no album has; those in damaged/ we put there."""
    places = Counter(path.parent.relative_to(folder).as_posix() for path in pictures)
    for ours in (".", DAMAGED):
        places.pop(ours, None)
    if not places:
        return
    named = [f"{count} in {place}" for place, count in places.most_common(_NAMED_FOLDERS)]
    if len(places) > _NAMED_FOLDERS:
        named.append(f"more in {counted(len(places) - _NAMED_FOLDERS, 'other folder')}")
    yield (
        f"left out: {counted(places.total(), 'picture')} in subfolders of {folder} "
        f"({', '.join(named)}); move those to be shown into {folder.name} itself"
    )


def read_album(project: Project, own: OwnPictures | None = None) -> tuple[ShowPicture, ...]:
    """Return the pictures that are in showcase/, in the order in which they landed.

    `own` remembers pictures by hand from one reading to the next. Raises DamagedError for damaged
    records.
    """
    folder = project.showcase_dir
    if not folder.is_dir():
        return ()
    noted: dict[str, ShowPicture] = {}
    for entry in _records(project).entries("picture"):
        names = ShowPicture.__dataclass_fields__
        values = {name: value for name, value in entry.facts.items() if name in names}
        values["picks"] = tuple(Pick(*one) for one in values.get("picks", ()))
        picture = ShowPicture(**values)
        noted[picture.file] = picture
    pictures = (path for path in find_pictures(folder) if path.parent == folder)
    present = {path.name: path for path in pictures if is_text(path.name)}
    known = [picture for name, picture in noted.items() if name in present]
    others = [path for name, path in present.items() if name not in noted]
    promoted = project.journal.last("promote")
    facts = promoted.facts if promoted else {}
    memory, ours = own or OwnPictures(), (str(facts.get("name", "")), str(facts.get("hash", "")))
    return (*known, *(one for path in others for one in memory.read(path, ours)))


def _own_picture(path: Path, ours: tuple[str, str]) -> Iterator[ShowPicture]:
    infotext = read_parameters(path)
    if infotext is not None:
        yield _from_infotext(path.name, infotext, ours)
    elif looks_like_a_picture(path):
        yield ShowPicture(file=path.name, seed=-1, checkpoint="", prompt="")


def read_parameters(path: Path) -> Infotext | None:
    """Return a picture's generation parameters without decoding its pixels, or None."""
    try:
        return parse_infotext(read_infotext(path))
    except (OSError, ValueError, SyntaxError):
        return None


def _from_infotext(name: str, infotext: Infotext, ours: tuple[str, str]) -> ShowPicture:
    """Read what a picture tells; of several LoRAs the promoted one counts, by hash, then name."""
    fields, hashes = infotext.fields, infotext.lora_hashes()
    tags = [tag for tag in lora_tags(infotext.prompt) if tag.hashed_as in hashes]
    name_of_ours, digest = ours
    without = (tag for tag in lora_tags(infotext.prompt) if tag.hashed_as not in hashes)
    ignored = next((tag.text for tag in without if tag.name != name_of_ours), "")
    first = max(
        tags,
        key=lambda tag: (
            bool(hashes[tag.hashed_as]) and digest.startswith(hashes[tag.hashed_as]),
            tag.name == name_of_ours,
        ),
        default=None,
    )
    seed = whole_number(fields.get("Seed", ""))
    return ShowPicture(
        file=name,
        seed=-1 if seed is None else seed,
        checkpoint=fields.get("Model", ""),
        checkpoint_sha256=fields.get("Model hash", ""),
        prompt=infotext.prompt,
        negative_prompt=infotext.negative_prompt,
        framing=framing_in(infotext.prompt),
        lora=first.name if first else "",
        lora_hash=hashes[first.hashed_as] if first else "",
        lora_weight=first.weight if first else "",
        ignored=ignored,
        is_grid=fields.get("Script") == "X/Y/Z plot",
    )
