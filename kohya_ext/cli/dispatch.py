"""Find the sub-command, run it, and turn every ToolError into one sentence and exit code 1.

The overview (`loraloom --help`) is printed from the table without importing click or any command.
"""

from __future__ import annotations

import errno
import os
import sys

from .table import COMMANDS

TYPE_CHECKING = False  # importing `typing` would cost a fifth of what `--help` may
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import click

GROUP = "loraloom.commands"
NEEDED = ("PIL", "click", "jsonschema", "psutil", "requests", "rich", "yaml")
"""The packages that pip installs with us."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `loraloom ARGUMENTS`; return 0, 1 (an error with a code) or 2 (wrong usage)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    _speak_utf8()
    return _dispatch(words)


def _dispatch(words: list[str]) -> int:
    is_overview = not words or words[0] in ("--help", "-h", "help", "--version")
    try:
        if is_overview:
            print(_version() if words[:1] == ["--version"] else overview(), flush=True)
            return 0
        from .closing import hear_windows, hearing_termination

        hear_windows()
        with hearing_termination():
            return _run(words)
    except KeyboardInterrupt:  # also while a command's own modules are still being imported
        print("Stopped. Run the same command again to continue.", file=sys.stderr)
        return 130
    except OSError as error:
        if not _is_reader_gone(error):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0 if is_overview else 1  # a command may have been in the midst of its work


def _is_reader_gone(error: OSError) -> bool:
    """Say whether nobody reads our output any more, as in `loraloom ... | head`.

    Windows may call that an invalid argument, which other things are, too: there it is tried.
    """
    if os.name == "nt" and error.errno == errno.EINVAL:
        try:
            print(flush=True)
        except OSError:
            return True
        return False
    return isinstance(error, BrokenPipeError)


def _run(words: list[str]) -> int:
    from ..project.errors import ToolError, UnknownCommand

    try:
        _require_text(words)
        result = _main(_load(words[0]), words)
    except ToolError as error:
        from ..project.printable import printable

        print(f"Error: {printable(str(error))}", file=sys.stderr)
        return 2 if isinstance(error, UnknownCommand) else 1
    return result if isinstance(result, int) else 0


def _require_text(words: list[str]) -> None:
    """Refuse an argument of bytes that are not UTF-8: it could be neither kept nor sent."""
    from ..project.errors import InputError
    from ..project.printable import is_text

    for word in words:
        if not is_text(word):
            raise InputError(
                "LL117",
                f'The argument "{word}" is not UTF-8 text.',
                "Type it again, or rename that file.",
            )


def _load(name: str) -> click.Command:
    """Find a command; in a clone that was never installed our packages may be missing."""
    from ..project.errors import PackageMissing

    try:
        return find_command(name)
    except ModuleNotFoundError as error:
        if error.name not in NEEDED:
            raise
        raise PackageMissing(
            "LL121",
            f"{sys.executable} has no package {error.name}.",
            "Install loraloom with its dependencies, in the folder of its repository: "
            f'"{sys.executable}" -m pip install .',
        ) from error


def _main(command: click.Command, words: list[str]) -> object:
    """Run a command; an operating system's refusal that no step explained gets its sentence."""
    import click

    try:
        return command.main(args=words[1:], prog_name=f"loraloom {words[0]}", standalone_mode=False)
    except click.Abort as error:
        raise KeyboardInterrupt from error
    except click.ClickException as error:
        import io

        from ..project.printable import printable

        shown = io.StringIO()
        error.show(shown)
        print(printable(shown.getvalue()), end="", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        if error.errno is None or _is_reader_gone(error):  # None: a library's, so a fault of ours
            raise
        from ..project.files import explain_refusal

        raise explain_refusal(error) from error


def _speak_utf8() -> None:
    """Keep a console of another encoding (Windows) from failing at a user's own names.

    What goes into a file or pipe there is UTF-8 as everywhere else, unless the user says otherwise.
    """
    is_free = os.name == "nt" and "PYTHONIOENCODING" not in os.environ
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is None:
            continue
        if is_free and not stream.isatty():
            reconfigure(encoding="utf-8", errors="replace")
        else:
            reconfigure(errors="replace")


def overview() -> str:
    """Return the text of `loraloom --help`."""
    lines = [
        "Usage: loraloom COMMAND [ARGUMENTS]",
        "",
        "One workflow for LoRA makers: from a folder of pictures to a trained, compared, shown and",
        "published LoRA. See all of it run:  loraloom demo",
    ]
    width = max(len(name) for _, name, _, _ in COMMANDS)
    for section in dict.fromkeys(row[0] for row in COMMANDS):
        lines += ["", f"{section}:"]
        lines += [f"  {name:<{width}}  {text}" for at, name, _, text in COMMANDS if at == section]
    plugins = sorted(set(_plugin_names()) - {name for _, name, _, _ in COMMANDS})
    if plugins:
        lines += ["", "From plugins:", *(f"  {name}" for name in plugins)]
    lines += ["", "`loraloom COMMAND --help` explains one command."]
    return "\n".join(lines)


def _plugin_names() -> Iterator[str]:
    """Read the names in our entry-point group from the installed packages' own text files.

    importlib.metadata would cost more than all the rest of `--help`.
    """
    header = f"[{GROUP}]"
    for folder in sys.path:
        for text in _entry_point_texts(folder or "."):
            section = text.partition(header)[2].split("\n[", 1)[0]
            for line in section.splitlines():
                name, equals, _ = line.partition("=")
                if equals:
                    yield name.strip()


def _entry_point_texts(folder: str) -> Iterator[str]:
    try:
        names = [name for name in os.listdir(folder) if name.endswith("-info")]
    except OSError:  # sys.path holds zip files and folders that do not exist
        return
    for name in names:
        path = os.path.join(folder, name, "entry_points.txt")
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                yield stream.read()
        except OSError:  # most packages have none
            continue


def find_command(name: str) -> click.Command:
    """Import the sub-command `name`, ours or a plugin's.

    Raises InputError (unknown) or MachineError (a plugin that cannot be loaded).
    """
    from importlib import import_module

    for _, known, target, _ in COMMANDS:
        if known == name:
            module, _, attribute = target.partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            return command
    return _find_plugin(name)


def _find_plugin(name: str) -> click.Command:
    from difflib import get_close_matches
    from importlib.metadata import entry_points

    from ..project.errors import UnknownCommand

    for entry in entry_points(group=GROUP):
        if entry.name == name:
            from ..project.errors import MachineError

            try:
                command: click.Command = entry.load()
            except (ImportError, AttributeError, SyntaxError) as error:
                raise MachineError(
                    "LL109",
                    f"The command {entry!r} cannot be loaded: {error}.",
                    "Update or remove the package that provides it.",
                ) from error
            return command
    close = get_close_matches(name, [row[1] for row in COMMANDS], n=1)
    hint = f"Did you mean `loraloom {close[0]}`?" if close else "See `loraloom --help`."
    raise UnknownCommand("LL108", f'There is no command "{name}".', hint)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"loraloom {version('loraloom')}"
    except PackageNotFoundError:  # a clone that was never installed
        return "loraloom (not installed)"
