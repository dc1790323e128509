"""Our section of the host's settings: the folders that the tab and the routes may enter."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from kohya_ext.project import RuleError
from kohya_ext.project.home import typed_path

FOLDERS = "loraloom_project_folders"
FOLLOW_LINKS = "loraloom_follow_links"
SECTION = ("loraloom", "loraloom")


def add_settings() -> None:
    """Add the section to the host's settings page."""
    import gradio
    from modules import shared

    option = shared.OptionInfo(
        "",
        "Folders with LoRA projects, one per line",
        gradio.Textbox,
        {"lines": 3, "max_lines": 12, "placeholder": "~/loras", **shared.hide_dirs},
        onchange=refuse_api,
        section=SECTION,
        restrict_api=True,  # whoever may only call the API must not open further folders
    )
    option.info("loraloom's tab and API can read only these folders")
    shared.opts.add_option(FOLDERS, option)
    links = shared.OptionInfo(
        False,
        "Follow links among wildcards",
        section=SECTION,
        restrict_api=True,
        onchange=refuse_api,
    )
    links.info("otherwise linked folders are left out")
    shared.opts.add_option(FOLLOW_LINKS, links)


def refuse_api() -> None:
    """Raise where the host's API changes our setting: the host puts the old value back then.

    Forge's API sets options as its page does, whether they are restricted or not.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if Path(frame.f_code.co_filename).parts[-3:] == ("modules", "api", "api.py"):
            raise PermissionError("the API cannot add folders for loraloom")
        frame = frame.f_back


def own_folder() -> Path:
    """Return where grids of no project are kept: `loraloom` in the host's data folder."""
    from modules import paths_internal

    return Path(paths_internal.data_path).absolute() / "loraloom"


def project_folders() -> tuple[Path, ...]:
    """Return the folders that the user named in the settings, and our own."""
    from modules import shared

    text = str(getattr(shared.opts, FOLDERS, "") or "")
    named = (typed_path(line.strip()) for line in text.splitlines() if line.strip())
    return tuple(dict.fromkeys([*named, own_folder()]))


def require_allowable(root: Path) -> bool:
    """Tell whether a project is seen already by the folders of the settings.

    Raises RuleError where it is not, and the host forbids that its page changes folders.
    """
    from modules import shared

    named = {one.resolve() for one in project_folders() if one != own_folder()}
    if {root.resolve(), root.resolve().parent} & named:
        return True
    flags = ("freeze_settings", "hide_ui_dir_config")
    set_flag = next((one for one in flags if getattr(shared.cmd_opts, one, False)), "")
    if set_flag:
        flag = set_flag.replace("_", "-")
        raise _not_allowed(root, f": the host was started with --{flag}")
    return False


def allow_folder(root: Path) -> None:
    """Add a project to the folders of the settings, unless it is seen already.

    Raises RuleError as `require_allowable` does, and where the host refuses the change.
    """
    from modules import shared

    if require_allowable(root):
        return
    text = str(getattr(shared.opts, FOLDERS, "") or "").rstrip()
    if not shared.opts.set(FOLDERS, "\n".join(filter(None, (text, str(root))))):
        raise _not_allowed(root)
    shared.opts.save(shared.config_filename)


def _not_allowed(root: Path, why: str = "") -> RuleError:
    return RuleError(
        "LL770",
        f"{root} cannot be added to the folders of loraloom{why}.",
        "Ask the administrator of the WebUI to add it in Settings, section loraloom.",
    )


def lora_folders() -> tuple[Path, ...]:
    """Return the folders in which the host looks for LoRA files."""
    from modules import shared

    from ..api.inventory import lora_folders_of

    folders = [one.absolute() for one in lora_folders_of(vars(shared.cmd_opts))]
    return tuple(dict.fromkeys(one for one in folders if one.is_dir()))


def wildcards() -> Path | None:
    """Return the wildcards of the Dynamic Prompts extension, where it is installed."""
    from modules import paths_internal, shared

    own = Path(paths_internal.extensions_dir) / "sd-dynamic-prompts" / "wildcards"
    named = shared.opts.data.get("wildcard_dir")
    folders = [Path(named), own] if named else [own]
    return next((one for one in folders if one.is_dir()), None)


def wildcard_folders() -> tuple[Path, ...]:
    """Return the folders of the prompt box's wildcards; the last one, ours, may not be there."""
    other = wildcards()
    own = own_folder() / "wildcards"
    return (other, own) if other else (own,)


def prompt_library() -> Any:
    """Return the prompt box's wildcards: those of Dynamic Prompts, and `wildcards/` of ours."""
    from dynprompts import WildcardLibrary

    folders = [one for one in wildcard_folders() if one.is_dir()]
    return WildcardLibrary(*folders, follow_links=follow_links())


def follow_links() -> bool:
    """Whether links among the wildcards are followed."""
    from modules import shared

    return bool(getattr(shared.opts, FOLLOW_LINKS, False))


def credentials() -> dict[str, str]:
    """Return user and password of --api-auth; empty when it is not set."""
    from modules import shared

    pairs: Any = getattr(shared.cmd_opts, "api_auth", None) or ""
    found = (pair.partition(":") for pair in pairs.split(",") if pair)
    return {user: password for user, _, password in found}


def serves_api() -> bool:
    """Tell whether the user started the host with its API."""
    from modules import shared

    return bool(
        getattr(shared.cmd_opts, "api", False) or getattr(shared.cmd_opts, "nowebui", False)
    )
