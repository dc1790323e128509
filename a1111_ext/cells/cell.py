"""A cell: one complete request for one picture, and the key that is the hash of it.

Prompts are expanded, seeds fixed, checkpoint and LoRAs pinned. Where a cell stands on some grid
is the grid's business and no part of it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property, lru_cache
from typing import Any

from kohya_ext.project.manifest import PictureSettings

from ..api.lora_tags import lora_tags

LARGEST_SEED = 2**32 - 1
"""The WebUI draws no picture with a larger one."""

LARGEST_SIDE = 8192
"""Pixels; we ask for no wider and no higher picture."""


@dataclass(frozen=True)
class LoraUse:
    """One LoRA in the prompt: its name there, weight as written, and hash as the WebUI shows it.

    `hash` is the first 12 hex digits of the tensors' SHA-256; empty when it is not known.
    """

    name: str
    weight: str = "1"
    hash: str = ""

    @property
    def token(self) -> str:
        """The whole tag as it stands in the prompt."""
        return f"<lora:{self.name}:{self.weight}>"


@dataclass(frozen=True)
class EmbeddingUse:
    """One embedding in the prompts: its name, and hash as infotexts show it where it is known."""

    name: str
    hash: str = ""


@dataclass(frozen=True)
class FileUse:
    """A file that a request goes by the name of: a VAE, module, hypernetwork or upscaler.

    `hash` is the first 12 hex digits of its SHA-256. It `counts` where it is not the file with
    which the ledger first met that name: keys of before, which have names only, stay what they are.
    """

    kind: str
    name: str
    hash: str
    counts: bool = False


@dataclass(frozen=True)
class CheckpointPin:
    """The checkpoint to draw with: its title as asked for, and its SHA-256 where known.

    An empty title means the one that is loaded; a plan resolves it before it draws.
    """

    title: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class HiresFix:
    """Hires. fix: upscale by `scale`, redraw with `denoising_strength` (0 to 1).

    An empty upscaler means the WebUI's own default; a plan resolves it before it draws.
    A `cfg_scale` of its own is Forge's alone; None is the cell's.
    """

    upscaler: str = ""
    scale: float = 2.0
    denoising_strength: float = 0.35
    steps: int = 0
    sampler: str = ""
    scheduler: str = ""
    cfg_scale: float | None = None

    def __post_init__(self) -> None:
        """Hold real numbers as such: 2 and 2.0 are one request and one key."""
        object.__setattr__(self, "scale", float(self.scale))
        object.__setattr__(self, "denoising_strength", float(self.denoising_strength))


@dataclass(frozen=True)
class SourcePicture:
    """The picture that an img2img cell starts from, pinned by the hash of its file."""

    path: str
    sha256: str
    denoising_strength: float = 0.35

    def __post_init__(self) -> None:
        """Hold the strength as a real number: 1 and 1.0 are one request and one key."""
        object.__setattr__(self, "denoising_strength", float(self.denoising_strength))


@dataclass(frozen=True)
class ScriptUse:
    """An always-on script with its arguments as the API takes them, as JSON text."""

    name: str
    args_json: str = "[]"

    @property
    def args(self) -> list[Any]:
        """The arguments as plain values."""
        found: list[Any] = json.loads(self.args_json)
        return found


def script_uses(scripts: Mapping[str, list[Any]]) -> tuple[ScriptUse, ...]:
    """Return always-on scripts as a cell holds them, in the order of their names."""
    return tuple(ScriptUse(name, json.dumps(args)) for name, args in sorted(scripts.items()))


def picture_fields(picture: PictureSettings) -> dict[str, Any]:
    """Return a manifest's picture settings as fields of a cell, which have the same names."""
    return {**vars(picture), "scripts": script_uses(picture.scripts)}


BATCH_SIZE = "batch_size"
"""The kind of batch whose pictures are drawn together and differ slightly from single ones."""


@dataclass(frozen=True)
class Batch:
    """Drawn together in one request: `kind` is single or batch_size, at `index` of `size`.

    Pictures of a batch differ slightly from single ones, so this is part of the key. Seeds of
    one row that the WebUI draws one after the other (n_iter) are single ones, bit for bit.
    """

    kind: str = "single"
    size: int = 1
    index: int = 0


@dataclass(frozen=True)
class Cell:
    """One complete request; width and height in pixels of the first pass."""

    prompt: str
    seed: int
    negative_prompt: str = ""
    width: int = PictureSettings.width
    height: int = PictureSettings.height
    steps: int = PictureSettings.steps
    cfg_scale: float = PictureSettings.cfg_scale
    sampler: str = PictureSettings.sampler
    scheduler: str = PictureSettings.scheduler
    clip_skip: int = PictureSettings.clip_skip
    subseed: int = -1
    subseed_strength: float = 0.0
    checkpoint: CheckpointPin = field(default_factory=CheckpointPin)
    vae: str = ""
    loras: tuple[LoraUse, ...] = ()
    embeddings: tuple[EmbeddingUse, ...] = ()
    hires_fix: HiresFix | None = None
    source: SourcePicture | None = None
    scripts: tuple[ScriptUse, ...] = ()
    override_settings_json: str = "{}"
    batch: Batch = field(default_factory=Batch)
    distilled_cfg_scale: float | None = None
    modules: tuple[str, ...] = ()
    vae_hash: str = ""
    files: tuple[FileUse, ...] = ()

    @cached_property
    def key(self) -> str:
        """SHA-256 of the request in canonical JSON, 64 hex digits.

        A source picture counts by its content: the project may be moved.
        """
        request = self
        if self.source is not None:
            request = replace(self, source=replace(self.source, path=""))
        return hashlib.sha256(request.as_json().encode("utf-8")).hexdigest()

    @cached_property
    def row(self) -> str:
        """What all cells of one batch have in common: the request without seed and place."""
        batch = f"{self.batch.kind}/{self.batch.size}"
        return self._json({"seed", "batch"}) + batch

    def with_seed(self, seed: int) -> Cell:
        """Return the cell with another seed; many times quicker than `replace` for many seeds."""
        (head, tail), (before, after) = self._around_seed
        make: Any = Cell
        cell: Cell = make(*head, seed, *tail)
        text = f"{before}{seed}{after}"
        # what cached_property would keep, without making a dictionary of the cell
        object.__setattr__(cell, "key", hashlib.sha256(text.encode("utf-8")).hexdigest())
        return cell

    @cached_property
    def _around_seed(self) -> tuple[tuple[tuple[Any, ...], tuple[Any, ...]], tuple[str, str]]:
        names = [one.name for one in fields(self)]
        place = names.index("seed")
        values = tuple(self.__dict__[name] for name in names)
        before, mark, after = self.as_json().rpartition(f'"seed":{self.seed},')
        label = mark.partition(":")[0] + ":"
        return (values[:place], values[place + 1 :]), (before + label, "," + after)

    def as_json(self) -> str:
        """Return the request as canonical JSON: sorted keys, no spaces."""
        return self._json(frozenset())

    def _json(self, without: set[str] | frozenset[str]) -> str:
        """Assemble the JSON from its fields: many times quicker than a dictionary of them all."""
        values = self.__dict__
        if self.files:
            values = {**values, "files": tuple(one for one in self.files if one.counts)}
        parts = [
            f'"{name}":{_field_json(float(values[name]) if name in _REALS else values[name])}'
            for name in _FIELDS
            if name not in without and (name not in _LEFT_OUT or values[name] not in (None, (), ""))
        ]
        return "{" + ",".join(parts) + "}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @property
    def called(self) -> str:
        """What tells it from its neighbours, for people: `Quillfox-000004, seed 1`."""
        return ", ".join([*(use.name for use in self.loras), f"seed {self.seed}"])

    @property
    def final_size(self) -> tuple[int, int]:
        """Width and height in pixels of the picture that comes back."""
        width, height = self.width - self.width % 8, self.height - self.height % 8
        if self.hires_fix is None:
            return width, height
        scale = self.hires_fix.scale
        return int(width * scale) // 8 * 8, int(height * scale) // 8 * 8

    @property
    def final_sizes(self) -> tuple[tuple[int, int], ...]:
        """The sizes that Hires. fix may give: Forge Neo rounds to a step that its settings name."""
        if self.hires_fix is None:
            return (self.final_size,)
        wide, high = (one * self.hires_fix.scale for one in (self.width, self.height))
        steps = (8, 16, 32, 64, 128, 256)
        rounded = tuple((int(wide / n + 0.5) * n, int(high / n + 0.5) * n) for n in steps)
        return (self.final_size, *rounded)

    @property
    def override_settings(self) -> dict[str, Any]:
        """The override settings as a dictionary."""
        settings: dict[str, Any] = json.loads(self.override_settings_json)
        return settings


_FIELDS = tuple(sorted(one.name for one in fields(Cell)))
_LEFT_OUT = frozenset({"distilled_cfg_scale", "embeddings", "files", "modules", "vae_hash"})
"""Fields that are in the request only where there are some: older keys stay what they were."""

_REALS = frozenset(one.name for one in fields(Cell) if str(one.type).startswith("float"))


def _field_json(value: Any) -> str:
    """Return a field's value as JSON; texts and nested values are remembered, being few."""
    kind: Any = type(value)
    if kind is int:
        return str(value)
    if kind is float:
        return repr(value)
    if kind is str and len(value) > _LONG_TEXT:
        return json.dumps(value, ensure_ascii=False)
    return _nested_json(kind, value)


_LONG_TEXT = 2000


@lru_cache(maxsize=4096)
def _nested_json(kind: Any, value: Any) -> str:
    plain = value
    if kind is tuple:
        plain = [one if isinstance(one, str) else asdict(one) for one in value]
    elif value is not None and kind not in (str, float, bool):
        plain = {name: one for name, one in asdict(value).items() if one is not None}
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


_NO_CELL = Cell(prompt="", seed=0).key
"""Read at once: Python lets instances share their table of names as the first ones had it, and with
`key` among them a plan of 100,000 cells takes a third of the memory."""


def without_hashes(request: str) -> str:
    """Return a request in JSON as if nothing were known of its files but their names.

    A WebUI knows a checkpoint's hash, and adds it to the title, once it has drawn with it.
    """
    bare = re.sub(r'"(hash|sha256)":"[0-9a-f]*"', r'"\1":""', request)
    return re.sub(r' \[[0-9a-f]{10}\]"', '"', bare)


def cell_from_dict(data: Mapping[str, Any]) -> Cell:
    """Make a cell of what `as_dict` gave; ValueError for anything else."""
    values = dict(data)
    try:
        values["checkpoint"] = CheckpointPin(**values["checkpoint"])
        values["loras"] = tuple(LoraUse(**one) for one in values["loras"])
        embeddings = values.get("embeddings", ())
        values["embeddings"] = tuple(EmbeddingUse(**one) for one in embeddings)
        values["scripts"] = tuple(ScriptUse(**one) for one in values["scripts"])
        values["batch"] = Batch(**values["batch"])
        values["modules"] = tuple(values.get("modules", ()))
        values["files"] = tuple(FileUse(**one) for one in values.get("files", ()))
        if values["hires_fix"] is not None:
            values["hires_fix"] = HiresFix(**values["hires_fix"])
        if values["source"] is not None:
            values["source"] = SourcePicture(**values["source"])
        return Cell(**values)
    except (KeyError, TypeError) as error:
        raise ValueError(f"this is not a cell: {error}") from error


def with_loras(cell: Cell, hashes: Mapping[str, str]) -> Cell:
    """Return the cell with `loras` read off its prompt; `hashes` by LoRA name, where known."""
    uses = tuple(
        LoraUse(tag.name, tag.weight, hashes.get(tag.name, hashes.get(tag.hashed_as, "")))
        for tag in lora_tags(cell.prompt)
    )
    return replace(cell, loras=uses)
