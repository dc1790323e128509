"""A LoRA project on disk: one folder with a manifest, and where everything in it lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .consent import Use, require_uses
from .errors import ConflictError, InputError, MissingError, RuleError
from .families import Family
from .files import CURE_FOR_STRANGE, require_utf8, strange_on_windows, write_text_atomic
from .journal import Journal
from .manifest import MANIFEST_NAME, Manifest, SubjectKind
from .manifest_reader import parse_manifest, read_manifest
from .printable import shortened
from .trigger_word import trigger_word_problem


@dataclass(frozen=True)
class Project:
    """One project: its root folder, what the manifest says, and its fixed places."""

    root: Path
    manifest: Manifest

    @property
    def manifest_path(self) -> Path:
        return self.root / MANIFEST_NAME

    @property
    def journal(self) -> Journal:
        return Journal(self.root / "journal.jsonl")

    @property
    def source_dir(self) -> Path:
        """What was imported, never edited."""
        return self.root / "source"

    @property
    def reviews_db(self) -> Path:
        """Roles, votes, ratings, choices."""
        return self.root / "reviews.db"

    @property
    def cache_dir(self) -> Path:
        """Thumbnails and what is remembered of pictures: may be deleted, is made again."""
        return self.root / "cache"

    @property
    def captions_dir(self) -> Path:
        """Hand-made caption edits."""
        return self.root / "captions"

    @property
    def scores_dir(self) -> Path:
        """Raw tagger scores."""
        return self.root / "scores"

    @property
    def images_dir(self) -> Path:
        """What the trainer reads: `5_Trigger`, `2_Trigger`."""
        return self.root / "images"

    @property
    def config_dir(self) -> Path:
        """Kohya GUI json, sd-scripts toml, dataset toml."""
        return self.root / "config"

    @property
    def model_dir(self) -> Path:
        """Epoch files and states."""
        return self.root / "model"

    @property
    def log_dir(self) -> Path:
        return self.root / "log"

    @property
    def cells_dir(self) -> Path:
        """Pictures of the ledger."""
        return self.root / "cells"

    @property
    def cells_db(self) -> Path:
        """The ledger."""
        return self.root / "cells.db"

    @property
    def grids_dir(self) -> Path:
        return self.root / "grids"

    @property
    def showcase_dir(self) -> Path:
        return self.root / "showcase"

    @property
    def wildcards_dir(self) -> Path | None:
        """The wildcards that the manifest names; None without any."""
        named = self.manifest.showcase.wildcards
        return self.root / named if named else None

    @property
    def publish_dir(self) -> Path:
        return self.root / "publish"

    def require_consent(self, *uses: Use) -> None:
        """Raise RuleError when the subject is a person who is not known to have agreed to all."""
        consent = self.manifest.subject.consent
        if self.manifest.subject.kind is not SubjectKind.PERSON:
            return
        if consent is None:
            raise RuleError(
                "LL113",
                f"{self.manifest_path} says that the subject is a real person, "
                "but records no consent.",
                "Under subject.consent, write who agreed, on which day, and to what.",
            )
        require_uses(consent, uses)


def open_project(folder: Path) -> Project:
    """Open the project in `folder` (or the manifest file itself).

    Raises MissingError (none there), InputError (manifest wrong) or MachineError (a name that is
    not UTF-8).
    """
    root = (folder.parent if folder.name == MANIFEST_NAME else folder).absolute()
    require_utf8(root)
    return Project(root, read_manifest(root / MANIFEST_NAME))


@dataclass(frozen=True)
class InitPlan:
    """A project to be made: the folder and the text of its manifest."""

    root: Path
    manifest_text: str

    @property
    def manifest_path(self) -> Path:
        return self.root / MANIFEST_NAME


def plan_init(
    root: Path,
    trigger_word: str,
    kind: SubjectKind = SubjectKind.CHARACTER,
    description: str = "",
) -> InitPlan:
    """Plan a new project.

    Raises InputError (trigger word), MachineError (a name that is not UTF-8), MissingError (a file
    in its place) or ConflictError (one is there).
    """
    problem = trigger_word_problem(trigger_word)
    if problem:
        raise InputError("LL105", problem, "Choose another, for example Quillfox.")
    require_utf8(root.absolute())
    strange = strange_on_windows(root)
    if strange:
        raise InputError(
            "LL186",
            f'Windows does not allow the folder name "{shortened(strange)}".',
            CURE_FOR_STRANGE,
        )
    if root.is_file():
        raise MissingError("LL103", f"{root} is a file, not a folder.", "Give a folder.")
    if (root / MANIFEST_NAME).exists():
        raise ConflictError(
            "LL106",
            f"{root} already contains a project.",
            f"Choose another folder, or edit {root / MANIFEST_NAME}.",
        )
    text = manifest_template(trigger_word, kind, description)
    parse_manifest(text, root / MANIFEST_NAME)
    return InitPlan(root.absolute(), text)


def apply_init(plan: InitPlan) -> Project:
    """Write the manifest and the journal's first entry."""
    write_text_atomic(plan.manifest_path, plan.manifest_text)
    project = open_project(plan.root)
    project.journal.append("init", trigger_word=project.manifest.trigger_word)
    return project


def manifest_template(trigger_word: str, kind: SubjectKind, description: str = "") -> str:
    """Return a new manifest's text: the usual numbers, each with its meaning beside it."""
    import json

    word = json.dumps(trigger_word, ensure_ascii=False)
    about = json.dumps(description, ensure_ascii=False)
    consent = _CONSENT if kind is SubjectKind.PERSON else ""
    families = ", ".join(Family)
    return _TEMPLATE.format(
        word=word, kind=kind.value, about=about, consent=consent, families=families
    )


_CONSENT = """\
  # A real person: before staging, fill in these lines and delete the "# " before each.
  # consent:
  #   name: ""                    # who agreed
  #   date: "2026-01-31"          # on which day
  #   scope: ""                   # to what: training, pictures, publishing
  #   evidence: ""                # where the proof is kept
"""

_TEMPLATE = """\
# A loraloom project. Every key is explained in docs/manifest.md.
format: 1
trigger_word: {word}
subject:
  kind: {kind}                  # style, object, creature, character or person
  description: {about}
{consent}
base_model:
  family: sd15                  # {families}
  path: ''                      # the checkpoint file to train on

dataset:
  influence: 2.0                # primaries get this many times the steps of the supporting ones
  # repeats: {{primary: 5, supporting: 2}}   # by hand, instead of the influence

captions:
  model: ''                     # folder with model.onnx and selected_tags.csv
  prefix: "photo of {{trigger}},"
  undesired_tags: []            # these become part of the trigger word
  general_threshold: 0.35

training:
  preset: ""                    # see: loraloom presets
  max_train_epochs: 10
  save_every_n_epochs: 1

grid:
  prompt: "{{lora}} photo of {{trigger}}"
  negative_prompt: ""
  seeds: [-1, -1, -1, -1]       # -1 is drawn once and shared by all epochs
  checkpoint: ""                # as the WebUI shows it; empty: the one that is loaded

showcase:
  template: ""                  # empty: a starter set; see: loraloom templates
  checkpoints: []               # empty: the one that is loaded
  count: 10                     # pictures per checkpoint
  lora_weight: 1.0

publish:
  title: ""
  description: ""
  source_link: ""
  base_model: "SD 1.5"
"""
