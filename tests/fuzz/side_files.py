"""Damages each file that a command reads, one way after the other, and runs that command again.

Which files a command reads is not written down anywhere: an audit hook notes what it opens in a
sound run. Each run is a fork of this process over a folder that is put back afterwards.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kohya_ext.project import ToolError

MOST_SECONDS = 120
"""Of the clock: what never ends is found, on a busy machine, too."""
READ_AS_SIDE_FILES = (
    ".json", ".jsonl", ".yaml", ".yml", ".toml", ".txt", ".csv", ".db", ".xmp", ".caption",
)  # fmt: skip

Act = Callable[[], object]


# -- damages --------------------------------------------------------------------------------------


def _whole(content: bytes) -> Callable[[bytes, Path], bytes]:
    return lambda sound, path: content


def _nested(path: Path) -> bytes:
    if path.suffix in (".yaml", ".yml"):
        return b"[" * 100_000
    return b'{"a":' * 50_000 + b"[" * 50_000


def _other_values(sound: bytes, value: Any) -> bytes:
    """Return a JSON text with `value` in the place of everything that stands below its first level.

    Of lines of JSON each is changed; other text stays as it is.
    """

    def changed(data: Any, depth: int) -> Any:
        if isinstance(data, dict) and depth < 2:
            return {key: changed(one, depth + 1) for key, one in data.items()}
        if isinstance(data, list) and depth < 2:
            return [changed(one, depth + 1) for one in data]
        return value if depth else data

    try:
        return json.dumps(changed(json.loads(sound), 0)).encode()
    except ValueError:
        pass
    try:
        rows = [json.loads(line) for line in sound.splitlines()]
    except ValueError:
        return sound
    return b"".join(json.dumps(changed(row, 0)).encode() + b"\n" for row in rows)


def _without_keys(sound: bytes, path: Path) -> bytes:
    """Return a JSON text whose objects have lost every second key."""

    def changed(data: Any) -> Any:
        if isinstance(data, dict):
            return {key: changed(one) for at, (key, one) in enumerate(data.items()) if at % 2}
        return [changed(one) for one in data] if isinstance(data, list) else data

    try:
        return json.dumps(changed(json.loads(sound))).encode()
    except ValueError:
        return b"\n".join(sound.split(b"\n")[1::2])


def _values_of(value: Any) -> Callable[[bytes, Path], bytes]:
    return lambda sound, path: _other_values(sound, value)


def _blanked(sound: bytes, path: Path) -> bytes:
    return sound[:100] + bytes(max(0, len(sound) - 100))


DAMAGES: Mapping[str, Callable[[bytes, Path], bytes]] = {
    "empty": _whole(b""),
    "null": _whole(b"null"),
    "a list": _whole(b'[1, null, "x", {}]'),
    "a text": _whole(b'"x"'),
    "a number": _whole(b"1e999"),
    "400 digits": _whole(b"1" + b"0" * 400),
    "an empty object": _whole(b"{}"),
    "null inside": _values_of(None),
    "numbers inside": _values_of(float("inf")),
    "texts inside": _values_of("\x1b[2J\ud83e"),
    "lists inside": _values_of([[]]),
    "objects inside": _values_of({"a": {"b": 1}}),
    "keys lost": _without_keys,
    "nested deeply": lambda sound, path: _nested(path),
    "not UTF-8": lambda sound, path: b"\xff\xfe\x80\x81" + sound,
    "UTF-16": lambda sound, path: sound.decode("utf-8", "replace").encode("utf-16"),
    "a byte order mark": lambda sound, path: b"\xef\xbb\xbf" + sound,
    "cut in half": lambda sound, path: sound[: len(sound) // 2],
    "zeros": _blanked,
}
HUGE = "40 MB"
PIPE = "a pipe"
FOLDER = "a folder"
STRANGE_ROWS = "strange rows"
"""Of a database: every value is of another kind."""
NO_TABLES = "no tables"
ALL_DAMAGES = (*DAMAGES, HUGE, PIPE, FOLDER, STRANGE_ROWS, NO_TABLES)


def damage(path: Path, how: str) -> bool:
    """Damage a file; False where that damage is none for it."""
    if how in (STRANGE_ROWS, NO_TABLES):
        return path.suffix == ".db" and _damage_tables(path, how)
    if how == PIPE and path.name == "template.txt":
        return False  # a template may come from a pipe: it is waited for
    if how in (PIPE, FOLDER):
        path.unlink()
        os.mkfifo(path) if how == PIPE else path.mkdir()
        return True
    if how == HUGE:
        with path.open("r+b") as stream:
            stream.truncate(40_000_000)
        return True
    sound = path.read_bytes()
    changed = DAMAGES[how](sound, path)
    path.unlink()  # it may be a link to another
    path.write_bytes(changed)
    return changed != sound


def _damage_tables(path: Path, how: str) -> bool:
    with closing(sqlite3.connect(path)) as db:
        tables = [
            name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        for table in tables:
            if table.startswith("sqlite_"):
                continue
            if how == NO_TABLES:
                db.execute(f'DROP TABLE "{table}"')
                continue
            for column in [row[1] for row in db.execute(f'PRAGMA table_info("{table}")')]:
                with suppress(sqlite3.Error):
                    db.execute(f'UPDATE "{table}" SET "{column}" = x\'fffe00\'')
        db.commit()
    return True


# -- runs -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """How a run ended (99: a traceback), with its processor time and greatest memory."""

    code: int
    said: str
    seconds: float
    kilobytes: int
    opened: frozenset[str]


class Place:
    """A folder that is put back after each run."""

    def __init__(self, root: Path, work: Path) -> None:
        self.root, self._sound, self._work = root, work / "sound", work
        shutil.copytree(root, self._sound, symlinks=True)
        self._states = self._look()

    def _look(self) -> dict[str, tuple[int, int, int]]:
        found = {}
        for folder, folders, names in os.walk(self.root):
            for name in (*names, *folders):
                path = Path(folder, name)
                one, is_folder = path.lstat(), path.is_dir()
                state = (0, 0, 0) if is_folder else (one.st_ino, one.st_size, one.st_mtime_ns)
                found[os.path.relpath(path, self.root)] = state
        return found

    def restore(self) -> None:
        """Put back what was changed, and remove what is new."""
        now = self._look()
        if now == self._states:
            return
        for name in sorted(set(now) - set(self._states), reverse=True):
            self._remove(self.root / name)
        for name, state in sorted(self._states.items()):
            if now.get(name) == state:
                continue
            there, sound = self.root / name, self._sound / name
            if sound.is_dir():
                there.mkdir(exist_ok=True)
                continue
            self._remove(there)
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(sound, there)
        self._states = self._look()

    @staticmethod
    def _remove(path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def run(self, act: Act, *, notes_files: bool = False) -> Outcome:
        """Run in a fork, and say how that ended."""
        return run_forked(act, self._work / "out", self.root if notes_files else None)


def run_forked(act: Act, out: Path, noted: Path | None = None) -> Outcome:
    """Run in a fork that writes into `out`; note which files below `noted` it opens."""
    opened = out.with_suffix(".opened")
    opened.unlink(missing_ok=True)
    sys.stdout.flush()
    child = os.fork()
    if not child:
        _be_child(act, out, noted, opened)
    _, status, usage = os.wait4(child, 0)
    found = opened.read_text(encoding="utf-8").splitlines() if opened.exists() else ()
    return Outcome(
        os.waitstatus_to_exitcode(status),
        out.read_text(encoding="utf-8", errors="replace"),
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss,
        frozenset(found),
    )


def _be_child(act: Act, out: Path, noted: Path | None, opened: Path) -> None:
    code = 99
    try:
        os.setsid()
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, to in ((0, nothing), (1, handle), (2, handle)):
            os.dup2(to, number)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="replace", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="replace", closefd=False)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(MOST_SECONDS)
        if noted is not None:
            _note_files(noted, opened)
        found = act()
        code = found if isinstance(found, int) else 0
    except ToolError as error:
        print(f"Error: {error}", file=sys.stderr)
        code = 1
    except BaseException:  # noqa: BLE001 - whatever it was is in the output
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _note_files(root: Path, notes: Path) -> None:
    """Write the name of each file below `root` that is opened, or asked SQLite for."""
    handle = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    head, seen = f"{root}{os.sep}", set[str]()

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in ("open", "sqlite3.connect"):
            return
        name = arguments[0]
        if isinstance(name, bytes):
            name = os.fsdecode(name)
        if not isinstance(name, str | os.PathLike):
            return
        name = os.path.normpath(
            os.fspath(name).removeprefix("file://").split("?")[0].replace("%20", " ")
        )
        if name.startswith(head) and name not in seen:
            seen.add(name)
            os.write(handle, name.removeprefix(head).encode() + b"\n")

    sys.addaudithook(hear)


# -- what a run may say ---------------------------------------------------------------------------

_CODE = re.compile(r"\[(LL|DP)\d{3}\]")


_STILL_SOUND = ("a byte order mark", "keys lost")
"""What a command may read, and so may also write again."""


def fault_of(path: Path, how: str, damaged: bytes | None, got: Outcome, sound: Outcome) -> str:
    """Return what is wrong with a run over a damaged file; empty where nothing is."""
    if got.code < 0:
        return f"ended by signal {-got.code} "
    if "Traceback" in got.said or got.code == 99:
        lines = got.said.strip().splitlines()
        return f"a traceback: {lines[-1] if lines else got.code}"
    if got.code == 1 and not _CODE.search(got.said) and "damaged or lost" not in got.said:
        return f"no code: {got.said.strip()[-200:]}"
    if got.said.count("Error: ") > 1:
        return f"more than one sentence: {got.said.strip()[-300:]}"
    if got.kilobytes > sound.kilobytes + 100_000:
        return f"{(got.kilobytes - sound.kilobytes) / 1000:.0f} MB"
    if got.seconds > sound.seconds + 3:
        return f"{got.seconds:.1f} s, sound {sound.seconds:.1f} s"
    if "\x1b[2J" in got.said:
        return "an escape sequence on the terminal"
    is_readable = how in _STILL_SOUND or (path.name == "journal.jsonl" and how == "cut in half")
    may_go = is_readable and got.code == 0  # a journal's last line may be torn: see Journal.append
    if damaged and not (may_go or _may_be_made_again(path, damaged) or _is_kept(path, damaged)):
        return "the damaged file was overwritten"
    return ""


_MADE_AGAIN = ("cache", "measures", "checked", "config", "images", "scores", "advice.json")


def _may_be_made_again(path: Path, damaged: bytes) -> bool:
    """Tell whether a file is made from others, or is a database that SQLite itself can use."""
    return any(one in _MADE_AGAIN for one in path.parts) or damaged.startswith(b"SQLite format 3")


def _is_kept(path: Path, damaged: bytes) -> bool:
    """Tell whether a damaged file is there still, or beside its place under another name."""
    candidates = [path, *path.parent.glob(f"{path.stem}*"), *path.parent.glob(f"{path.name}*")]
    return any(one.is_file() and one.read_bytes().startswith(damaged) for one in candidates)


_DIFFERING = (
    r"(?<=[/-])[0-9a-f]{40,}",
    r"(?<=/)\d{8}-\d{6}(?=/)",
    r"(?<=images/)\d+_[^/]+/[^/.]+",
    r"(?<=weights-)[\w-]+",
    r"(?<=grids/)[^/]+",
    r"(?<=captions/)[^/]+(?=\.json)",
    r"(?<=checked/)\w+",
    r"(?<=publish/)[^/]+(?=/)",
)


def kind_of(name: str) -> str:
    """Return the kind of a file: its place, with what differs among equals left out."""
    for part in _DIFFERING:
        name = re.sub(part, "*", name)
    return name


def side_files(opened: Sequence[str] | frozenset[str], root: Path) -> Iterator[str]:
    """Yield one file of each kind among those that were opened and are there."""
    kinds: set[str] = set()
    for name in sorted(opened):
        path = root / name
        if path.suffix not in READ_AS_SIDE_FILES and not path.name.startswith("."):
            continue
        if path.is_file() and kind_of(name) not in kinds:
            kinds.add(kind_of(name))
            yield name
