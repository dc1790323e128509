"""`loraloom kohya` and `loraloom gui`: a tab in the user's own Kohya GUI, and our own page."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path

import click

from ..gui.hook import install_hook, plan_hook, uninstall_hook
from ..gui.host import KohyaGui, find_kohya_gui, plan_launch, run_host
from ..project import HostError, MissingError, open_project, read_settings, write_setting
from ..project.cli import (
    TypedPath,
    dry_run_option,
    emit,
    next_step,
    say,
    serving,
    show_qr,
)
from ..project.decisions.boards import PAGE_NAME, Boards
from ..project.shell import (
    shell_path,
    shell_words,
)

_HANGUP, _TERMINATED = 128 + 1, 128 + 15
_WINDOWS_CTRL_C = 0xC000013A
_FOLDER = TypedPath()


@click.command()
@click.option("--dir", "folder", type=_FOLDER, help="The Kohya GUI's folder (remembered).")
@click.option("--python", type=_FOLDER, help="The GUI's Python, if not in venv or .venv.")
@click.option("--project", "project", type=_FOLDER, help="A LoRA project to open in the tab.")
@click.option(
    "--install-hook",
    "install",
    is_flag=True,
    help="Show the tab also when gui.sh or gui.bat starts the GUI.",
)
@click.option("--uninstall-hook", "uninstall", is_flag=True, help="Undo --install-hook.")
@dry_run_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def kohya(
    folder: Path | None,
    python: Path | None,
    project: Path | None,
    install: bool,
    uninstall: bool,
    dry_run: bool,
    arguments: tuple[str, ...],
) -> int:
    """Start your Kohya GUI with a loraloom tab beside "LoRA". Edits none of its files.

    ARGUMENTS after -- are passed to kohya_gui.py, for example: -- --headless --server_port 7861
    """
    if install and uninstall:
        raise click.UsageError("Use either --install-hook or --uninstall-hook.")
    gui = find_kohya_gui(folder or _remembered(), python)
    if folder and not dry_run:
        write_setting("kohya_gui", str(gui.folder))
    if install:
        _install(gui, dry_run)
    elif uninstall:
        _uninstall(gui, dry_run)
    else:
        root = open_project(project).root if project else None
        return _start(gui, arguments, root, dry_run)
    return 0


def _remembered() -> Path:
    known = read_settings().kohya_gui
    if not known:
        raise MissingError(
            "LL704",
            "The folder of the Kohya GUI is not known yet.",
            "Give its folder once: loraloom kohya --dir FOLDER",
        )
    return Path(known)


def _start(gui: KohyaGui, arguments: tuple[str, ...], project: Path | None, dry_run: bool) -> int:
    plan = plan_launch(gui, arguments, project)
    if dry_run:
        emit(shell_words(plan.command))
        next_step()
        return 0
    say(f"Starting the Kohya GUI {gui.version} in {gui.folder}; Ctrl-C stops it.")
    code = run_host(plan)
    if code in (_HANGUP, _TERMINATED):
        say("The Kohya GUI is stopped, too.")
        return code
    if code not in (0, 130, -2, _WINDOWS_CTRL_C):  # -2 and 130: Ctrl-C
        raise HostError(
            "LL705",
            f"The Kohya GUI ended with exit code {code}.",
            "See its messages above. To start it without our tab: gui.sh or gui.bat",
        )
    next_step(f"loraloom kohya --dir {shell_path(gui.folder)}")
    return 0


def _install(gui: KohyaGui, dry_run: bool) -> None:
    plan = plan_hook(gui)
    emit(str(plan.hook))
    emit(str(plan.pth))
    if dry_run:
        next_step()
        return
    install_hook(plan)
    say("gui.sh and gui.bat now show the tab. LORALOOM_DISABLE=1 starts the GUI without it.")
    next_step(f"loraloom kohya --dir {shell_path(gui.folder)} --uninstall-hook   (undoes it)")


def _uninstall(gui: KohyaGui, dry_run: bool) -> None:
    plan = plan_hook(gui)
    if dry_run:
        for path in (plan.pth, plan.hook):
            emit(str(path))
        next_step()
        return
    gone = uninstall_hook(plan)
    for path in gone:
        emit(str(path))
    say("Removed." if gone else "There was nothing to remove.")
    next_step(f"loraloom kohya --dir {shell_path(gui.folder)}")


@click.command()
@click.argument("project", required=False, type=_FOLDER)
@click.option("--port", type=int, default=7870, show_default=True, help="Port to listen on.")
@click.option("--open/--no-open", "browse", default=True, help="Open the page in the browser.")
@click.option("--lan", is_flag=True, help="Also show PROJECT's board in your network, for a phone.")
def gui(project: Path | None, port: int, browse: bool, lan: bool) -> None:
    """Open all screens in one page in the browser, with PROJECT opened.

    It needs gradio 6: pip install "gradio>=6,<7". Only this machine can open the page.
    With --lan, your network can open the board of PROJECT, to sort and caption, but nothing else.
    """
    from ..gui.standalone import serve

    root = open_project(project).root if project else None
    with ExitStack() as stack:
        if lan:
            if root is None:
                raise click.UsageError("--lan shows a project's board: give the PROJECT.")
            share = stack.enter_context(closing(Boards())).open(root)
            url = stack.enter_context(serving(share, PAGE_NAME, lan=True))
            say(f"The board in your network: {url}")
            show_qr(url)
        serve(root, port, browse, say)
    next_step(
        f"loraloom show {shell_path(root)}" if root else "loraloom init FOLDER --trigger WORD"
    )
