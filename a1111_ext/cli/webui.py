"""Options that name WebUIs, and `loraloom webui`, `loraloom link-loras`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from kohya_ext.project import MissingError, Project, open_project, read_settings, remember_webuis
from kohya_ext.project.cli import (
    TypedPath,
    dry_run_option,
    emit,
    emit_json,
    json_option,
    next_step,
    project_argument,
    say,
)
from kohya_ext.project.epochs import require_run
from kohya_ext.project.manifest import MANIFEST_NAME
from kohya_ext.project.shell import (
    shell_path,
)
from kohya_ext.project.wording import counted

from ..api.capabilities import Capabilities
from ..api.client import ApiError, Client, ConnectionLost, parse_credentials
from ..api.inventory import fetch_capabilities
from ..api.lora_links import apply_links, find_linked, plan_links, remove_links
from ..cells.shared_settings import SharedSettings
from ..grids.grid import GridStore

_Command = TypeVar("_Command", bound=Callable[..., Any])
AUTH_VARIABLE = "LORALOOM_WEBUI_AUTH"
PORTS_VARIABLE = "LORALOOM_WEBUI_PORTS"
"""Where a WebUI of this machine is looked for; without it, at the two ports that it takes."""


def webui_options(command: _Command) -> _Command:
    """Add `--webui URL` (several times for several machines) and `--auth USER:PASSWORD`."""
    auth = click.option(
        "--auth",
        default=lambda: os.environ.get(AUTH_VARIABLE, ""),
        help=f"user:password of the WebUI's --api-auth; or in {AUTH_VARIABLE}.",
    )
    urls = click.option(
        "--webui",
        "urls",
        multiple=True,
        help="Address of the WebUI; default: the project's last one, else one running here.",
    )
    return auth(urls(command))


class NoWebuiNamed(MissingError):
    """No address was given, now or earlier."""


agent_scheduler_option = click.option(
    "--agent-scheduler",
    "is_scheduled",
    is_flag=True,
    help="Queue each picture as a task of the WebUI's Agent Scheduler extension.",
)
lora_folder_option = click.option(
    "--lora-folder",
    type=TypedPath(),
    help="Path of the WebUI's LoRA folder if it runs on another machine.",
)


def chosen_urls(urls: tuple[str, ...], project: Path | None = None) -> tuple[str, ...]:
    """Return the addresses named now, else those of the project, else those of this machine.

    On a machine that has none so far, a WebUI that runs at a usual port is taken, and named.
    Raises NoWebuiNamed.
    """
    known = urls or read_settings().webuis_of(project)
    if known:
        return known
    ports = os.environ.get(PORTS_VARIABLE, "7860 7861").split()
    for url in (f"http://127.0.0.1:{port}" for port in ports):
        if _is_webui(url):
            say(f"Using the WebUI at {url}; --webui URL chooses another one.")
            return (url,)
    raise NoWebuiNamed(
        "LL413",
        "No WebUI is given.",
        "Start one with --api and give its address: --webui http://127.0.0.1:7860",
    )


def _is_webui(url: str) -> bool:
    """Tell whether a WebUI with --api answers there: the Kohya GUI takes the same ports."""
    with Client(url) as client:
        try:
            return client.is_listening() and isinstance(client.get("/sdapi/v1/sd-models"), list)
        except ApiError as error:
            return error.status == 401  # it asks for a password, as only the API does


@contextmanager
def open_webuis(
    urls: tuple[str, ...], auth: str, project: Path | None = None, *, needs_all: bool = True
) -> Iterator[tuple[tuple[Client, Capabilities], ...]]:
    """Connect to every WebUI of a project's folder (or of this machine), ask what it has.

    Where not all are needed, those that do not answer are named and left out; one must answer.
    """
    clients = [Client(url, parse_credentials(auth)) for url in chosen_urls(urls, project)]
    try:
        opened = _connect(clients, needs_all)
        if urls:  # only now: a mistyped one is not remembered
            known = {client.url for client, _ in opened} | {*read_settings().webuis_of(project)}
            remember_webuis([one.url for one in clients if one.url in known], project)
        for _, capabilities in opened:
            if capabilities.is_simulated:
                say(f"{capabilities.url} is a simulated WebUI: its pictures are cards")
        yield tuple((one, _knowing(found, project)) for one, found in opened)
    finally:
        for client in clients:
            client.close()


def _knowing(found: Capabilities, project: Path | None) -> Capabilities:
    """Add the WebUI's own settings, and with which files a project's pictures were drawn so far."""
    own = SharedSettings()
    found = dataclasses.replace(found, settings={**found.settings, **own.peek(found.url)})
    own.close()
    return found if project is None else GridStore(project).know_files(found)


def _connect(clients: list[Client], needs_all: bool) -> tuple[tuple[Client, Capabilities], ...]:
    opened: list[tuple[Client, Capabilities]] = []
    lost: list[ConnectionLost] = []
    for client in clients:
        try:
            opened.append((client, fetch_capabilities(client)))
        except ConnectionLost as error:
            lost.append(error)
    if lost and (needs_all or not opened):
        raise lost[0]
    for one in lost:
        say(f"{one.problem} The others draw without it.")
    return tuple(opened)


@click.command()
@click.argument("project", required=False, type=TypedPath())
@webui_options
@json_option
def webui(project: Path | None, urls: tuple[str, ...], auth: str, as_json: bool) -> None:
    """Show the version of PROJECT's WebUI, and the names of its models and samplers.

    Without PROJECT: the WebUI of the project in the current folder, or of this machine.
    """
    if project is None and Path(MANIFEST_NAME).is_file():
        project = Path()
    root = None if project is None else open_project(project).root
    with open_webuis(urls, auth, root) as opened:
        if as_json:
            emit_json([dataclasses.asdict(capabilities) for _, capabilities in opened])
        else:
            for _, capabilities in opened:
                _show(capabilities)
    next_step("loraloom link-loras PROJECT")


def _show(found: Capabilities) -> None:
    emit(f"{found.url} ({found.kind})")
    emit("extensions: " + (", ".join(found.extensions) or "none"))
    emit("checkpoints: " + ", ".join(one.title for one in found.checkpoints))
    emit(f"loaded: {found.loaded}")
    emit("LoRAs: " + (", ".join(one.name for one in found.loras) or "none"))
    emit(f"LoRA folder: {found.lora_dir or 'unknown'}")
    emit("sampling methods: " + ", ".join(found.samplers))
    emit("schedule types: " + ", ".join(found.schedulers))
    emit("upscalers: " + ", ".join(found.upscalers))
    always_on = (one.name for one in found.always_on if not one.is_img2img)
    emit("always-on scripts: " + (", ".join(always_on) or "unknown"))
    dynamic = found.dynamic_prompts_script
    emit(
        "Dynamic Prompts: "
        f"{dynamic + ', switched off for our pictures' if dynamic else 'not installed'}"
    )


@click.command()
@project_argument
@webui_options
@lora_folder_option
@click.option("--remove", "back", is_flag=True, help="Remove what was linked.")
@dry_run_option
@json_option
def link_loras(
    project: Project,
    urls: tuple[str, ...],
    auth: str,
    lora_folder: Path | None,
    back: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Link the epoch files of PROJECT's newest run into the LoRA folder of each WebUI."""
    run = None if back else require_run(project.model_dir)
    with open_webuis(urls, auth, project.root) as opened:
        if run is None:
            linked = find_linked(project)
            if not dry_run:
                remove_links(project, linked, [client for client, _ in opened])
            names = list(dict.fromkeys(path.stem for path in linked))
        else:
            plans = [plan_links(run, found, lora_folder) for _, found in opened]
            for plan, (client, found) in () if dry_run else zip(plans, opened, strict=True):
                apply_links(project, plan, client, found)
            names = [link.name for link in plans[0].links]
    if as_json:
        emit_json(names)
    else:
        emit("\n".join(names) or "nothing is linked")
    say("nothing was done (--dry-run)" if dry_run else counted(len(names), "file"))
    next_step(f"loraloom {'show' if back else 'grid'} {shell_path(project.root)}")
