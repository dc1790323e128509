"""One picture of a post, with what its infotext says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kohya_ext.project import DamagedError
from kohya_ext.project.json_reader import read_picture_bytes
from kohya_ext.project.pictures.identity import digest_without_xmp
from kohya_ext.project.pictures.metadata import kind_of

from ..api.infotext import Infotext, parse_infotext, read_infotext
from ..api.lora_tags import hashed_as, lora_tags

_SUFFIXES = {"jpeg": ".jpg", "png": ".png", "webp": ".webp"}


@dataclass(frozen=True)
class PackPicture:
    """One picture of the post; `infotext` is None when the file has lost it.

    `suffix` is that of its content: sites and viewers read no generation data behind another one.
    """

    path: Path
    infotext: Infotext | None
    sha256: str
    selected_sha256: str = ""
    framing: str = ""
    suffix: str = ""

    @property
    def fields(self) -> Mapping[str, str]:
        """The parameters that the WebUI wrote."""
        return self.infotext.fields if self.infotext else {}

    @property
    def prompt(self) -> str:
        return self.infotext.prompt if self.infotext else ""

    @property
    def lora_hashes(self) -> dict[str, str]:
        """Hashes of all LoRAs by the names that the prompt uses."""
        return self.infotext.lora_hashes() if self.infotext else {}

    @property
    def ignored(self) -> tuple[str, ...]:
        """LoRAs that the prompt names and the WebUI did not use: there is no hash of them."""
        known = self.lora_hashes
        tags = lora_tags(self.prompt)
        return tuple(dict.fromkeys(tag.name for tag in tags if tag.hashed_as not in known))

    def names_of(self, lora: str, autov3: str) -> tuple[str, ...]:
        """The names under which the prompt uses a LoRA; by its hash, if need be."""
        found = [name for name, digest in self.lora_hashes.items() if digest == autov3]
        return tuple(dict.fromkeys([hashed_as(lora), *found]))

    def weights_of(self, *names: str) -> tuple[float, ...]:
        """The weights at which the prompt calls a LoRA of these names."""
        found = []
        for tag in lora_tags(self.prompt):
            if tag.hashed_as in names and tag.multiplier is not None:
                found.append(tag.multiplier)
        return tuple(found)

    @property
    def is_simulated(self) -> bool:
        """Whether the simulated WebUI drew it."""
        return "Simulated" in self.fields


def read_picture(path: Path, selected_sha256: str = "", framing: str = "") -> PackPicture:
    """Read a picture that was selected. Raises DamagedError."""
    try:
        raw = read_infotext(path)
        content = read_picture_bytes(path)
        sha256 = digest_without_xmp(content)
    except (OSError, SyntaxError) as error:
        why = "it does not exist" if isinstance(error, FileNotFoundError) else str(error)
        raise DamagedError(
            "LL623",
            f"The selected picture {path.name} cannot be read: {why}.",
            "Restore it, or select again: loraloom select PROJECT",
        ) from error
    try:
        infotext = parse_infotext(raw)
    except ValueError:
        infotext = None
    suffix = _SUFFIXES.get(kind_of(content[:12]), path.suffix.lower())
    return PackPicture(path, infotext, sha256, selected_sha256, framing, suffix)
