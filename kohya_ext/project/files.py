"""Files that are either old or new, never half: atomic writes, links, hashes.

A reader sees the previous content until `os.replace`; a full disk leaves it as it was.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from .errors import ConflictError, MachineError, MissingError, ToolError
from .printable import is_text, shortened

_BLOCK_BYTES = 1 << 20
_REPLACE_TRIES = 10
_REPLACE_PAUSE_SECONDS = 0.05
_LONGEST_ON_WINDOWS = 240
"""Letters of a path: Windows takes 259 by default, and our file beside needs some more."""
_LONGEST_SHOWN = 400
"""Letters of a path that a sentence holds whole."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_PART_NAME_BYTES = 80
"""Of a name: file systems take 255 bytes, and our mark needs some of them."""

_MACHINE = hashlib.sha256(platform.node().encode("utf-8", "replace")).hexdigest()[:6]
_PART = re.compile(r"\..*\.(?P<machine>[0-9a-f]{6})-(?P<pid>\d+)-[0-9a-f]{8}\.part", re.DOTALL)
_SWEPT: set[Path] = set()
_RESERVED_ON_WINDOWS = re.compile(
    r"^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[1-9¹²³]) *(\..*)?$", re.IGNORECASE
)
"""Names of devices, also before an extension and with spaces at the end."""


class Transfer(str, Enum):
    """How a file reached its new place."""

    HARDLINK = "hardlink"
    COPY = "copy"


def explain_os_error(error: OSError, path: Path, *, reading: bool = False) -> ToolError:
    """Turn an operating system's refusal to write, or to read, `path` into a sentence."""
    if not reading and _is_full(error):
        return MachineError(
            "LL110",
            f"The disk is full: {path} could not be written.",
            "Free some space and run the same command again; nothing was lost.",
        )
    code, verb = ("LL104", "read") if reading else ("LL111", "written")
    if error.errno == errno.ENAMETOOLONG:
        return MachineError(
            code,
            f"{shortened(str(path))} could not be {verb}: its name is too long.",
            "Choose a shorter name.",
        )
    if os.name == "nt" and len(str(path)) >= _LONGEST_ON_WINDOWS:
        return MachineError(
            code,
            f"{_shown(path)} could not be {verb}: its path is too long for Windows.",
            "Move the project nearer to the drive's root, or switch long paths on in Windows.",
        )
    strange = strange_on_windows(path)
    if strange:
        return MachineError(
            code,
            f"{_shown(path)} could not be {verb}: Windows does not allow the name "
            f'"{shortened(strange)}".',
            CURE_FOR_STRANGE,
        )
    if reading:
        return unreadable(path, error)
    return MachineError(
        "LL111",
        f"{path} could not be written: {error.strerror or error}.",
        "Check the permissions, and that no other program is using the file.",
    )


def _is_full(error: OSError) -> bool:
    return error.errno in _FULL or getattr(error, "winerror", None) == 112


def unreadable(what: object, error: OSError | ValueError) -> MachineError:
    """Return the sentence on a file or folder that cannot be read."""
    return MachineError(
        "LL104",
        f"{what} cannot be read: {getattr(error, 'strerror', None) or error}.",
        "Check the path, its permissions, and that no other program is using it.",
    )


def explain_refusal(error: OSError) -> ToolError:
    """Turn a refusal that no step explained into a MachineError with its path."""
    if _is_full(error):
        return explain_os_error(error, Path(error.filename or "a file"))
    what = f"{error.filename} cannot be used" if error.filename else "The system refused"
    return MachineError(
        "LL120",
        f"{what}: {error.strerror or error}.",
        "Check the path, its permissions, and that no other program is using it.",
    )


@contextmanager
def explained(path: Path, *, reading: bool = False) -> Iterator[None]:
    """Turn a refusal to change `path`, or to read it, inside the block into MachineError."""
    try:
        yield
    except OSError as error:
        raise explain_os_error(error, path, reading=reading) from error


def part_beside(path: Path) -> Path:
    """Return a new name beside `path` for what is not whole yet.

    What a killed process of this machine left there under such a name is removed first.
    """
    _remove_left_parts(path.parent)
    short = path.name.encode("utf-8", "replace")[:_PART_NAME_BYTES].decode("utf-8", "ignore")
    return path.with_name(f".{short}.{_MACHINE}-{os.getpid()}-{secrets.token_hex(4)}.part")


def _remove_left_parts(folder: Path) -> None:
    """Remove unfinished files whose process is gone; looked for once in each folder."""
    if folder in _SWEPT:
        return
    _SWEPT.add(folder)
    try:
        names = [one.name for one in os.scandir(folder) if one.name.endswith(".part")]
    except OSError:  # it is made later, or cannot be read: whoever writes says so
        return
    for name in names:
        match = _PART.fullmatch(name)
        if match is None or match["machine"] != _MACHINE or _is_running(int(match["pid"])):
            continue
        left = folder / name
        with suppress(OSError):
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()


def _is_running(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file beside `path` and move it there when the block ends well.

    The bytes are flushed to the disk first. When the block raises, `path` stays as it was and the
    file beside it is removed. Raises MachineError (disk full).
    """
    beside = part_beside(path)
    try:
        with beside.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        replace_file(beside, path)
    except BaseException as error:
        with suppress(OSError):  # a read-only disk refuses this, too
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise explain_os_error(error, path) from error
        raise


def replace_file(beside: Path, path: Path) -> None:
    """Move `beside` onto `path`, waiting for a reader that holds it (Windows refuses then)."""
    for attempt in range(_REPLACE_TRIES):
        try:
            beside.replace(path)
        except PermissionError:
            if os.name != "nt" or attempt == _REPLACE_TRIES - 1:
                raise
            time.sleep(_REPLACE_PAUSE_SECONDS)
        else:
            return


def move_file(path: Path, target: Path) -> None:
    """Move a file or folder on its disk, waiting for a reader as `replace_file` does.

    Raises MachineError.
    """
    with explained(path):
        replace_file(path, target)


def set_aside(path: Path) -> Path:
    """Move a damaged file of ours to a name beside it, and return that. Raises MachineError."""
    when = time.strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.stem}.damaged-{when}-{secrets.token_hex(2)}{path.suffix}")
    move_file(path, aside)
    return aside


def write_bytes_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path`, making its folder where needed."""
    make_folder(path.parent)
    with replacing(path) as stream:
        stream.write(data)


def write_text_atomic(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with the line ends as they are."""
    write_bytes_atomic(path, text.encode("utf-8"))


def write_json_atomic(path: Path, data: object, *, sort_keys: bool = False) -> None:
    """Write `data` as indented UTF-8 JSON with a final newline; halves of letters as escapes."""
    text = json.dumps(data, ensure_ascii=False, indent=2, sort_keys=sort_keys) + "\n"
    write_bytes_atomic(path, text.encode("utf-8", "backslashreplace"))


def make_folder(folder: Path) -> Path:
    """Make `folder` and its parents where needed. Raises MachineError."""
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def require_absent(target: Path) -> None:
    """Raise ConflictError when something, even a broken link, has the name already."""
    if os.path.lexists(target):
        raise ConflictError(
            "LL112", f"{target} already exists.", "Move it away, or choose another name."
        )


def link_or_copy(source: Path, target: Path) -> Transfer:
    """Hardlink `source` as `target`, or copy it where the file system cannot link.

    Never overwrites: raises ConflictError when `target` exists.
    """
    make_folder(target.parent)
    require_absent(target)
    try:
        os.link(source, target)
    except OSError:  # another drive, a file system without links, a network share
        copy_whole(source, target)
        return Transfer.COPY
    return Transfer.HARDLINK


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file beside `target`, then onto it. Raises MachineError, which names the culprit."""
    with replacing(target) as writer:
        writer.writelines(read_blocks(source))


def read_blocks(path: Path, begin: int = 0) -> Iterator[bytes]:
    """Yield a file from that byte on; a refusal names it, not what is written from it.

    Raises MachineError.
    """
    with explained(path, reading=True), path.open("rb") as stream:
        stream.seek(begin)
        while block := stream.read(_BLOCK_BYTES):
            yield block


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the whole file in lower-case hex."""
    return _digest_of(path, hashlib.sha256())


def git_sha1_of(path: Path) -> str:
    """Return git's SHA-1 of the whole file, by which the model hub names small files."""
    head = b"blob %d\0" % path.stat().st_size
    return _digest_of(path, hashlib.sha1(head, usedforsecurity=False))


def _digest_of(path: Path, digest: hashlib._Hash) -> str:
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def free_bytes(path: Path) -> int:
    """Return the free space in bytes on the disk that holds `path` or its nearest parent.

    Raises MissingError for a drive or share that is not there.
    """
    folder = path.absolute()
    for one in (folder, *folder.parents):
        with suppress(OSError):
            return shutil.disk_usage(one).free
    raise MissingError(
        "LL103",
        f"The drive of {path} does not exist.",
        "Connect it, or correct the path.",
    )


def require_folder(path: Path) -> Path:
    """Return `path` when it is a readable folder; raise MissingError or MachineError otherwise."""
    if not path.is_dir():
        if path.exists():
            raise MissingError("LL103", f"{path} is a file, not a folder.", "Give a folder.")
        raise MissingError(
            "LL103",
            f"The folder {path} does not exist.",
            "Check the spelling of the path, and that its drive is connected.",
        )
    try:
        with os.scandir(path) as entries:
            next(entries, None)
    except OSError as error:
        raise unreadable(f"The folder {path}", error) from error
    return path


def _shown(path: Path) -> str:
    """Return a path for a sentence; only one that no system takes is cut."""
    return str(path) if len(str(path)) <= _LONGEST_SHOWN else shortened(str(path))


CURE_FOR_STRANGE = (
    'Choose a name of at most 255 letters, without : ? * " < > | and without a dot or space at its '
    "end; CON, NUL and some others are reserved for devices."
)


def strange_on_windows(path: Path) -> str:
    """Return the first name in `path` that Windows refuses or changes; empty elsewhere.

    It drops a dot or space at the end silently, takes `a:b` for a stream of `a`, and opens a
    device for CON.
    """
    if os.name != "nt":
        return ""
    names = (one for one in path.parts if one not in (path.anchor, ".", ".."))
    return next((one for one in names if not _windows_takes(one)), "")


def require_utf8(path: Path) -> None:
    """Refuse a path of other bytes, as from an old archive: no json, prompt or page can hold it.

    Raises MachineError, which names the innermost part that is not UTF-8.
    """
    wrong = next((one for one in (path, *path.parents) if not is_text(one.name)), None)
    if wrong is not None:
        shown = wrong.name.encode("utf-8", "replace").decode("utf-8")
        raise MachineError(
            "LL208", f'The name of "{shown}" in {wrong.parent} is not UTF-8 text.', "Rename it."
        )


def is_portable_name(name: str) -> bool:
    """Tell whether `name` can be one file's or folder's name on Linux, macOS and Windows."""
    return _windows_takes(name) and len(name.encode("utf-8")) <= 200


def _windows_takes(name: str) -> bool:
    """Tell whether Windows has files and folders of this name: 255 letters, counted in UTF-16."""
    if not name or name != name.strip() or name.endswith("."):
        return False
    if any(ord(letter) < 32 or letter in '<>:"/\\|?*' for letter in name):
        return False
    return (
        not _RESERVED_ON_WINDOWS.match(name)
        and len(name.encode("utf-16-le", "surrogatepass")) <= 2 * 255
    )
