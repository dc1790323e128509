"""What a pack is made of: the promoted LoRA, the chosen pictures with their infotexts.

Reads and refuses nothing but what cannot be read; `checks` says whether it all fits together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kohya_ext.project import DamagedError, MissingError, Project
from kohya_ext.project.manifest import Manifest, PublishSettings
from kohya_ext.project.pictures.identity import digest_without_xmp

from ..api.infotext import Infotext, parse_infotext, read_infotext
from ..api.lora_tags import lora_tags
from ..showcase.album import read_album
from ..showcase.follow_ups import plan_follow_ups
from ..showcase.review import read_review
from ..showcase.selection import read_selection
from .header import with_header
from .promoted import Promoted, require_promoted
from .site import default_base_model

if TYPE_CHECKING:
    from .content import PackContent

_SIMULATED_KEYS = ("ss_base_model_version", "ss_sd_scripts_commit_hash")
"""Where the simulated trainer says that it trained nothing."""


@dataclass(frozen=True)
class PackPicture:
    """One picture of the post; `infotext` is None when the file has lost it."""

    path: Path
    infotext_raw: str
    infotext: Infotext | None
    sha256: str
    selected_sha256: str = ""
    framing: str = ""

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
        known = set(self.lora_hashes)
        names = dict.fromkeys(tag.name.strip() for tag in lora_tags(self.prompt))
        return tuple(
            one for one in names if not {one, one.replace(":", "").replace(",", "")} & known
        )

    def names_of(self, lora: str, autov3: str) -> tuple[str, ...]:
        """The names under which the prompt uses a LoRA; by its hash, if need be."""
        found = [name for name, digest in self.lora_hashes.items() if digest == autov3]
        return tuple(dict.fromkeys([lora, *found]))

    def weights_of(self, *names: str) -> tuple[float, ...]:
        """The weights at which the prompt calls a LoRA of these names."""
        found = []
        for tag in lora_tags(self.prompt):
            if tag.name in names:
                try:
                    found.append(float(tag.weight.partition(":")[0].rpartition("=")[2]))
                except ValueError:
                    continue
        return tuple(found)

    @property
    def is_simulated(self) -> bool:
        """Whether the simulated WebUI drew it."""
        return "Simulated" in self.fields


@dataclass(frozen=True)
class Material:
    """Everything that a pack says, in one place.

    `not_followed` names pictures rated 2 that cannot be in a follow-up post, and why.
    """

    manifest: Manifest
    promoted: Promoted
    pictures: tuple[PackPicture, ...] = ()
    follow_ups: tuple[tuple[PackPicture, ...], ...] = ()
    not_followed: tuple[tuple[str, str], ...] = ()
    content: PackContent | None = None
    has_ai_label: bool = False

    @property
    def every_picture(self) -> tuple[PackPicture, ...]:
        """The pictures of all posts."""
        return tuple(one for post in (self.pictures, *self.follow_ups) for one in post)

    @property
    def publish(self) -> PublishSettings:
        return self.manifest.publish

    @property
    def title(self) -> str:
        return self.publish.title or self.promoted.name

    @property
    def base_model(self) -> str:
        """The site's name of the base model."""
        return self.publish.base_model or default_base_model(self.manifest.base_model.family)

    @property
    def description(self) -> str:
        return (self.publish.description or self.manifest.subject.description).strip()

    @cached_property
    def weights(self) -> tuple[float, ...]:
        """The LoRA weights of the showcase, sorted; the manifest's when it has no pictures."""
        return tuple(sorted(set(self._weights))) or (self.manifest.showcase.lora_weight,)

    @property
    def weight(self) -> float:
        """The weight to recommend: that of most pictures."""
        counts = self._weights
        return max(self.weights, key=lambda weight: (counts.count(weight), -weight))

    @cached_property
    def _weights(self) -> list[float]:
        name, autov3 = self.promoted.name, self.promoted.autov3
        return [w for one in self.pictures for w in one.weights_of(*one.names_of(name, autov3))]

    @property
    def checkpoints(self) -> tuple[tuple[str, str], ...]:
        """Names and hashes of the checkpoints of the showcase."""
        pairs = ((one.fields.get("Model", ""), one.fields.get("Model hash", "")) for one in
                 self.pictures)  # fmt: skip
        return tuple(dict.fromkeys(pair for pair in pairs if pair[0]))

    @property
    def helpers(self) -> tuple[tuple[str, str], ...]:
        """Other LoRAs in the pictures: names and hashes."""
        pairs = (pair for one in self.pictures for pair in one.lora_hashes.items())
        return tuple(
            dict.fromkeys(
                pair
                for pair in pairs
                if self.promoted.autov3 != pair[1] and pair[0] != self.promoted.name
            )
        )

    @property
    def clip_skip(self) -> int:
        """Clip skip of the showcase."""
        return self.manifest.showcase.picture.clip_skip

    @property
    def is_simulated(self) -> bool:
        """Whether anything in it comes from the simulated hosts."""
        said = {self.promoted.metadata.get(key) for key in _SIMULATED_KEYS}
        return "simulated" in said or any(one.is_simulated for one in self.pictures)


def gather(project: Project) -> Material:
    """Read what a pack is made of.

    Raises MissingError (nothing promoted; nothing selected) or DamagedError (a picture that was
    selected is gone).
    """
    promoted = require_promoted(project)
    album = read_album(project)
    framings = {one.file: one.framing for one in album}

    def read(file: str, sha256: str = "") -> PackPicture:
        return _read_picture(project.showcase_dir / file, sha256, framings.get(file, ""))

    pictures = [read(one.file, one.sha256) for one in read_selection(project)]
    if not pictures:
        raise MissingError(
            "LL622", "The selection is empty.", "Select pictures: loraloom select PROJECT"
        )
    selected = [one.path.name for one in pictures]
    follow_ups = plan_follow_ups(
        album, promoted.name, promoted.autov3, read_review(project).ratings, selected
    )
    return Material(
        with_header(project.manifest, promoted.metadata),
        promoted,
        tuple(pictures),
        tuple(tuple(read(one.file) for one in post) for post in follow_ups.posts),
        follow_ups.left_out,
    )


def _read_picture(path: Path, selected_sha256: str, framing: str) -> PackPicture:
    try:
        raw = read_infotext(path)
        sha256 = digest_without_xmp(path.read_bytes())
    except (OSError, SyntaxError) as error:
        why = "it is not there" if isinstance(error, FileNotFoundError) else str(error)
        raise DamagedError(
            "LL623",
            f"The selected picture {path.name} cannot be read: {why}.",
            "Put it back, or select again: loraloom select PROJECT",
        ) from error
    try:
        infotext = parse_infotext(raw)
    except ValueError:
        infotext = None
    return PackPicture(path, raw, infotext, sha256, selected_sha256, framing)
