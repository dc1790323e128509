"""Where a project stands, read off its folders and its journal: the steps done and the next."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .epochs import find_epoch_files
from .pictures import find_pictures, looks_like_a_picture
from .project import Project
from .settings import read_settings
from .wording import counted


@dataclass(frozen=True)
class StagedFolder:
    """One `N_Trigger` folder: its repeats are in its name."""

    name: str
    pictures: int
    captions: int


@dataclass(frozen=True)
class ProjectStatus:
    """Counts of what exists; `promoted` is the chosen LoRA's name or empty."""

    root: str
    trigger_word: str
    kind: str
    imported: int
    staged: tuple[StagedFolder, ...]
    config: bool
    epoch_files: int
    grids: int
    promoted: str
    showcase_pictures: int
    selected: int
    packs: int
    training: str = ""
    ratio: str = ""
    """What primaries weigh against supporting pictures, as `stage` says it."""
    copies: tuple[str, ...] = ()
    """Files beside the project's own that a cloud drive made when two machines changed them."""
    has_base_model: bool = True
    has_tagger: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for `--json`."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return what `loraloom show` prints."""
        rows = [
            ("project", self.root),
            ("trigger word", f"{self.trigger_word} ({self.kind})"),
            ("imported", counted(self.imported, "picture")),
            *(
                (
                    one.name,
                    f"{counted(one.pictures, 'picture')}, {counted(one.captions, 'caption')}",
                )
                for one in self.staged
            ),
            *([("ratio", self.ratio)] if self.ratio else []),
            ("config", "written" if self.config else "none yet"),
            ("epoch files", str(self.epoch_files)),
            *([("training", f"run {self.training} is in progress")] if self.training else []),
            ("grids", str(self.grids)),
            ("promoted", self.promoted or "none yet"),
            ("showcase", f"{counted(self.showcase_pictures, 'picture')}, {self.selected} selected"),
            ("publish packs", str(self.packs)),
            *(("not read", f"{one}: a copy that another program made") for one in self.copies),
        ]
        width = max(len(name) for name, _ in rows)
        return [f"{name:<{width}}  {value}" for name, value in rows]

    def next_command(self, shown: str) -> str:
        """Return the next step of the workflow; `shown` is the project's path as typed."""
        steps = (
            (not self.imported, f"loraloom import {shown} FOLDER-WITH-PICTURES"),
            (not self.staged, f"loraloom stage {shown}"),
            (not any(one.captions for one in self.staged), caption_step(shown, self.has_tagger)),
            (not self.config, config_step(shown, self.has_base_model)),
            (bool(self.training), f"loraloom train {shown} --attach"),
            (not self.epoch_files, f"loraloom train {shown}"),
            (not self.grids, f"loraloom grid {shown}"),
            (not self.promoted, f"loraloom promote {shown} EPOCH NAME"),
            (not self.showcase_pictures, f"loraloom showcase {shown}"),
            (not self.selected, f"loraloom select {shown}"),
        )
        return next((step for missing, step in steps if missing), f"loraloom publish {shown}")


def caption_step(shown: str, has_tagger: bool) -> str:
    """Return how the pictures are captioned next; a tagger that nothing names must be given."""
    return f"loraloom caption {shown}" + ("" if has_tagger else " --model FOLDER-OF-A-WD14-TAGGER")


def config_step(shown: str, has_base_model: bool) -> str:
    """Return how the config is written next; without a base model there is none."""
    first = "" if has_base_model else "set base_model.path in lora-project.yaml, then: "
    return f"{first}loraloom config {shown}"


def finds_tagger(project: Project) -> bool:
    """Tell whether `caption` needs no folder: one is named, or every picture has its scores."""
    if project.manifest.captions.model or read_settings().tagger_model:
        return True
    staged = sum(one.pictures for one in _staged(project))
    return 0 < staged <= sum(1 for _ in project.scores_dir.glob("*"))


def read_status(project: Project) -> ProjectStatus:
    """Look at what the project's folders hold."""
    promoted, selected = project.journal.last("promote"), project.journal.last("select")
    began, ended = project.journal.last("train-start"), project.journal.last("train-end")
    run = str(began.facts.get("run", "")) if began else ""
    showcase = project.showcase_dir
    found = find_pictures(showcase) if showcase.is_dir() else ()
    shown = (one for one in found if one.parent == showcase)  # as the album does
    return ProjectStatus(
        root=str(project.root),
        trigger_word=project.manifest.trigger_word,
        kind=project.manifest.subject.kind.value,
        imported=_pictures(project.source_dir),
        staged=_staged(project),
        config=any(project.config_dir.glob("*.json")),
        epoch_files=sum(len(run.files) for run in find_epoch_files(project.model_dir).runs)
        if project.model_dir.is_dir()
        else 0,
        grids=sum(1 for _ in project.grids_dir.glob("*/")),
        promoted=str(promoted.facts.get("name", "")) if promoted else "",
        showcase_pictures=sum(looks_like_a_picture(one) for one in shown),
        selected=int(selected.facts.get("pictures", 0)) if selected else 0,
        packs=sum(1 for one in project.publish_dir.glob("*") if one.is_dir()),
        training="" if ended and ended.facts.get("run") == run else run,
        copies=_copies(project),
        has_base_model=bool(project.manifest.base_model.path),
        has_tagger=finds_tagger(project),
    )


def _copies(project: Project) -> tuple[str, ...]:
    """Return such as `lora-project-DESKTOP.yaml` and `reviews (1).db`."""
    return tuple(
        one.name
        for own in (project.manifest_path, project.reviews_db)
        for one in sorted(project.root.glob(f"{own.stem}*{own.suffix}"))
        if one != own
    )


def _pictures(folder: Path) -> int:
    return sum(1 for _ in find_pictures(folder)) if folder.is_dir() else 0


def _staged(project: Project) -> tuple[StagedFolder, ...]:
    suffix = project.manifest.captions.caption_extension
    if not project.images_dir.is_dir():
        return ()
    return tuple(
        StagedFolder(folder.name, _pictures(folder), sum(1 for _ in folder.glob(f"*{suffix}")))
        for folder in sorted(project.images_dir.iterdir())
        if folder.is_dir()
    )
