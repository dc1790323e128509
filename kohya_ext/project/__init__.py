"""The LoRA project on disk: the contract between both halves; it imports nothing of ours."""

from __future__ import annotations

from .errors import (
    ConflictError,
    DamagedError,
    HostError,
    InputError,
    MachineError,
    MissingError,
    PackageMissing,
    RuleError,
    StoppedError,
    ToolError,
)
from .journal import Journal, JournalEntry
from .manifest import MANIFEST_NAME, Manifest
from .manifest_reader import read_manifest
from .progress import Progress, ProgressHandler, silent
from .project import InitPlan, Project, apply_init, open_project, plan_init
from .settings import (
    Settings,
    read_settings,
    remember_project,
    remember_webuis,
    user_folder,
    write_setting,
)

__all__ = [
    "MANIFEST_NAME",
    "ConflictError",
    "DamagedError",
    "HostError",
    "InitPlan",
    "InputError",
    "Journal",
    "JournalEntry",
    "MachineError",
    "Manifest",
    "MissingError",
    "PackageMissing",
    "Progress",
    "ProgressHandler",
    "Project",
    "RuleError",
    "Settings",
    "StoppedError",
    "ToolError",
    "apply_init",
    "open_project",
    "plan_init",
    "read_manifest",
    "read_settings",
    "remember_project",
    "remember_webuis",
    "silent",
    "user_folder",
    "write_setting",
]
