"""What a pack is made of: the promoted LoRA, the chosen pictures with their infotexts.

Reads and refuses nothing but what cannot be read; `checks` says whether it all fits together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from kohya_ext.project import MissingError, Project
from kohya_ext.project.manifest import Manifest, PublishSettings

from ..showcase.album import read_album
from ..showcase.follow_ups import plan_follow_ups
from ..showcase.review import read_review
from ..showcase.selection import read_selection
from .content import PackContent
from .header import with_header
from .pack_picture import PackPicture, read_picture
from .promoted import Promoted, require_promoted
from .site import default_base_model

_SIMULATED_KEYS = ("ss_base_model_version", "ss_sd_scripts_commit_hash")
"""Where the simulated trainer says that it trained nothing."""


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

    @property
    def badge(self) -> str:
        """What its pages show on top."""
        return '<p class="badge">simulated: not for upload</p>' if self.is_simulated else ""


def gather(project: Project) -> Material:
    """Read what a pack is made of.

    Raises MissingError (nothing promoted; nothing selected) or DamagedError (a picture that was
    selected is gone).
    """
    promoted = require_promoted(project)
    album = read_album(project)
    framings = {one.file: one.framing for one in album}

    def read(file: str, sha256: str = "") -> PackPicture:
        return read_picture(project.showcase_dir / file, sha256, framings.get(file, ""))

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
