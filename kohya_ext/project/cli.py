"""How the commands talk: data to stdout, talk to stderr, progress bars, the next step.

Used by the `cli` modules of both halves; the only module of `project` that knows click and rich.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .errors import ConflictError
from .home import typed_path
from .printable import printable, printable_json
from .progress import Progress, ProgressHandler
from .project import Project, open_project

if TYPE_CHECKING:
    from .server import Share

_UTF8_PAGE = 65001

_Command = TypeVar("_Command", bound=Callable[..., Any])


class TypedPath(click.Path):
    """A path as people type it in any shell; see `typed_path`."""

    def __init__(self, **asked: bool) -> None:
        super().__init__(path_type=Path, **asked)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path of `value`. Raises click.BadParameter."""
        if isinstance(value, str):
            value = path_argument(value)
        return super().convert(value, param, ctx)


def path_argument(text: str) -> Path:
    """Return the path of an argument; click.BadParameter for one that took in other words."""
    path = typed_path(text)
    if os.name == "nt" and '"' in str(path):
        raise click.BadParameter(
            f"{text} contains a quotation mark. A backslash before the closing one takes in what "
            "follows: leave out that backslash."
        )
    return path


def _open(context: click.Context, parameter: click.Parameter, value: str) -> Project:
    return open_project(path_argument(value))


def project_argument(command: _Command) -> _Command:
    """Add the argument PROJECT (a folder; default: the current one), opened as `project`."""
    return click.argument("project", default=".", callback=_open)(command)


def named_project_argument(command: _Command) -> _Command:
    """Add the argument PROJECT where others follow, so that it cannot be left out."""
    return click.argument("project", callback=_open)(command)


def json_option(command: _Command) -> _Command:
    """Add `--json`, given as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print data as JSON.")(command)


def dry_run_option(command: _Command) -> _Command:
    """Add `--dry-run`, given as `dry_run`."""
    text = "Print what would be done; change nothing."
    return click.option("--dry-run", is_flag=True, help=text)(command)


class RelatedOption(click.Option):
    """An option that others give its sense, all named as they are typed; it is never ignored.

    `needs` must be given, too. `excludes` must not be. `only_with`: of all options only these may
    be. Else click.UsageError.
    """

    def __init__(
        self,
        *declarations: Any,
        needs: str = "",
        excludes: Sequence[str] = (),
        only_with: Sequence[str] | None = None,
        **attributes: Any,
    ) -> None:
        super().__init__(*declarations, **attributes)
        self._needs, self._excludes, self._only_with = needs, excludes, only_with

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Refuse what does not go together, then take the value as any option does."""
        if _is_given(self, opts):
            options = (one for one in ctx.command.params if isinstance(one, click.Option))
            others = {
                one.opts[0] for one in options if one.name != self.name and _is_given(one, opts)
            }
            own = self.opts[0]
            if self._needs and self._needs not in others:
                raise click.UsageError(
                    f"{own} works only with {self._needs}: add it, or leave out {own}."
                )
            unfit = others & set(self._excludes)
            if self._only_with is not None:
                unfit |= others - set(self._only_with)
            if unfit:
                raise click.UsageError(
                    f"{own} and {min(unfit)} cannot be combined: leave out one of them."
                )
        return super().handle_parse_result(ctx, opts, args)


def _is_given(option: click.Option, typed: Mapping[str, Any]) -> bool:
    """Tell whether an option was typed; flags may share one name, each with its own value."""
    value = option.flag_value
    return option.name in typed and (not isinstance(value, str) or typed[option.name] == value)


def emit(text: str) -> None:
    """Print data to stdout."""
    click.echo(printable(text))


def emit_json(data: object) -> None:
    """Print data to stdout as JSON; paths as text. A console without UTF-8 gets ASCII escapes."""
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(data, ensure_ascii=not is_utf8, indent=2, default=str)
    click.echo(printable_json(text))


def say(text: str) -> None:
    """Print talk to stderr."""
    click.echo(printable(text), err=True)


def say_styled(*parts: str | tuple[str, str]) -> None:
    """Print a line to stderr, parts of it in a style of rich such as "bold".

    Windows' older console shows escape sequences as letters; rich colours it by its own calls.
    """
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, highlight=False).print(Text.assemble(*parts), soft_wrap=True)


def next_step(command: str = "") -> None:
    """End a command with what comes next, in the user's own names; after --dry-run, itself."""
    context = click.get_current_context(silent=True)
    simulated = context is not None and context.params.get("dry_run")
    say(f"Next: {'the same command without --dry-run' if simulated else command}")


_LAN = (
    "Let your network open the page, for example a phone, by the printed address or its QR "
    "code. There it only shows pictures and takes decisions."
)


def page_options(command: _Command) -> _Command:
    """Add `--port`, `--open` and `--lan`, for a command that serves a page."""
    command = click.option("--lan", is_flag=True, help=_LAN)(command)
    browse = click.option(
        "--open/--no-open", "browse", default=True, help="Open the page in the browser."
    )
    port = click.option("--port", type=int, default=0, help="Port to listen on; 0: any free one.")
    return port(browse(command))


def serve_options(text: str) -> Callable[[_Command], _Command]:
    """Add `--serve`, explained by `text`, and `--lan`: instead of the command's other work."""
    option = partial(click.option, cls=RelatedOption, is_flag=True)

    def add(command: _Command) -> _Command:
        lan = option("--lan", only_with=("--serve",), help=_LAN)
        return option("--serve", only_with=("--lan",), help=text)(lan(command))

    return add


@contextmanager
def serving(
    share: Share, path: str, *, port: int = 0, lan: bool = False, name: str = ""
) -> Iterator[str]:
    """Serve a share and give the address of a path in it; with `lan` the one in the network.

    A share with a `name` and a port of its own has the same address the next time, but not in a
    network. Raises MissingError without a network, or ConflictError for a port that is taken.
    """
    from .server import LOOPBACK, PageServer, lan_address

    host = lan_address() if lan else LOOPBACK
    with PageServer(port=port, host=host) as server:
        try:
            url = server.url_of(share, path, name if port and not lan else "")
        except OSError as error:
            raise ConflictError(
                "LL184",
                f"Port {port} cannot be used: {error.strerror}.",
                "Close the program that uses it, or leave out --port.",
            ) from error
        yield url


def serve_until_interrupted(
    share: Share,
    path: str,
    *,
    port: int = 0,
    browse: bool = False,
    lan: bool = False,
    name: str = "",
) -> None:
    """Print the address of a path in a share and serve it; Ctrl-C stops it, also on Windows.

    Raises as `serving`.
    """
    with serving(share, path, port=port, lan=lan, name=name) as url, suppress(KeyboardInterrupt):
        emit(url)
        if lan:
            show_qr(url)
            say("anyone with this address can also look and decide, until Ctrl-C stops it")
        else:
            say("open this address on this machine; Ctrl-C stops it")
        if browse:
            click.launch(url)
        while True:
            time.sleep(0.5)  # Ctrl-C does not wake a longer sleep on Windows


def _letters_of_terminal() -> str:
    """Return the encoding that has what the terminal shows.

    Python writes every letter to a console of Windows, whose font has those of its code page: in a
    Japanese one block letters are missing or too wide.
    """
    if sys.platform == "win32":
        import ctypes

        page = ctypes.windll.kernel32.GetConsoleOutputCP()
        return "utf-8" if page in (0, _UTF8_PAGE) else f"cp{page}"
    return sys.stderr.encoding or "ascii"


def show_qr(url: str) -> None:
    """Show the address as a QR code on a terminal, in what its encoding has."""
    from .qr import qr_lines, qr_matrix

    matrix = qr_matrix(url) if sys.stderr.isatty() else None
    if matrix is None:
        return
    lines = qr_lines(matrix)
    try:
        "".join(lines).encode(_letters_of_terminal())
    except (UnicodeEncodeError, LookupError):  # colours alone then, two letters for each module
        for line in qr_lines(matrix, blocks=False):
            shades = ("bright_white" if one == "#" else "black" for one in line[::2])
            say_styled(*(("  ", f"on {shade}") for shade in shades))
        return
    for line in lines:
        say_styled((line, "bright_white on black"))


def cluster_option(command: _Command) -> _Command:
    """Add `--cluster ADDRESS`."""
    return click.option(
        "--cluster", metavar="ADDRESS", help="Use the workers of this Dask scheduler."
    )(command)


@contextmanager
def progress_bar() -> Iterator[ProgressHandler]:
    """Show progress on stderr: a live bar on a terminal, one line per phase elsewhere."""
    if sys.stderr.isatty():
        with _live_bar() as handler:
            yield handler
    else:
        yield _PlainLines()


class _PlainLines:
    """One line when a phase begins and one when it ends, for logs and pipes."""

    def __init__(self) -> None:
        self._seen: dict[str, bool] = {}

    def __call__(self, progress: Progress) -> None:
        finished = progress.total is not None and progress.done >= progress.total
        if self._seen.get(progress.phase) == finished and progress.phase in self._seen:
            return
        self._seen[progress.phase] = finished
        amount = f"{progress.done}" + (f"/{progress.total}" if progress.total else "")
        say(f"{progress.phase}: {amount} {progress.message}".rstrip())


@contextmanager
def _live_bar() -> Iterator[ProgressHandler]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[message]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, TaskID] = {}

        def show(progress: Progress) -> None:
            if progress.phase not in tasks:
                tasks[progress.phase] = bar.add_task(progress.phase, total=None, message="")
            bar.update(
                tasks[progress.phase],
                completed=progress.done,
                total=progress.total,
                message=progress.message,
            )

        yield show
