"""The pictures of cells as files: written whole, proved by their hash, moved aside when wrong."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Collection, Mapping
from concurrent.futures import Executor
from pathlib import Path

from kohya_ext.project.cluster import spread
from kohya_ext.project.files import explain_os_error, replace_file, write_bytes_atomic
from kohya_ext.project.json_reader import UnreadableError, read_picture_bytes

REJECTED = "rejected"
"""The folder beside the pictures for those that failed a check."""

DAMAGED = "damaged"
"""The folder for kept pictures that are not what they were when they were checked."""

PROVE_AT_MOST = 5_000
"""Of more pictures at once only the size is compared: reading them would take minutes."""


class PictureStore:
    """Keep the pictures of cells below `folder`, each under its cell's key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._proved: dict[tuple[str, int, int], str] = {}

    def path(self, key: str) -> Path:
        """Return where the picture of a cell is kept."""
        return self.folder / key[:2] / f"{key}.png"

    def aside(self, key: str, why: str) -> Path:
        """Return where a picture goes that is REJECTED or DAMAGED."""
        return self.folder / why / f"{key}.png"

    def write(self, key: str, png: bytes) -> str:
        """Write a picture, whole or not at all, and return its SHA-256. Raises MachineError."""
        path = self.path(key)
        write_bytes_atomic(path, png)
        _flush_folder(path.parent)
        return hashlib.sha256(png).hexdigest()

    def read(self, key: str) -> bytes | None:
        """Return a picture, or None where there is none. Raises MachineError."""
        try:
            return read_picture_bytes(self.path(key))
        except (FileNotFoundError, UnreadableError):  # what is larger than any picture is none
            return None
        except OSError as error:
            raise explain_os_error(error, self.path(key), reading=True) from error

    def move_aside(self, key: str, why: str) -> None:
        """Move a picture where nobody takes it for a good one; nothing where there is none."""
        path, aside = self.path(key), self.aside(key, why)
        try:
            aside.parent.mkdir(exist_ok=True)
            replace_file(path, aside)
        except FileNotFoundError:
            return
        except OSError as error:
            raise explain_os_error(error, aside) from error

    def sizes(self) -> dict[str, int]:
        """Return the size in bytes of every picture on the disk, by key, in one walk."""
        found: dict[str, int] = {}
        try:
            folders = [one.path for one in os.scandir(self.folder) if len(one.name) == 2]
        except FileNotFoundError:
            return found
        for folder in folders:
            for one in os.scandir(folder):
                if one.name.endswith(".png"):
                    found[one.name[:-4]] = one.stat().st_size
        return found

    def wrong_among(
        self, known: Mapping[str, tuple[str, int]], *, whole: bool = False
    ) -> tuple[set[str], set[str]]:
        """Return the keys whose picture is gone, and those whose picture is another one.

        `known` has hash and size in bytes for each key; an empty hash proves nothing either way.
        Of more than `PROVE_AT_MOST` only the sizes are compared, unless `whole` is set.
        """
        if len(known) > PROVE_AT_MOST and not whole:
            there = self.sizes()
            gone = known.keys() - there.keys()
            differs = {
                key
                for key, (digest, size) in known.items()
                if digest and key in there and there[key] != size
            }
            return gone, differs
        gone, differs = set(), set()
        for key, (digest, _) in known.items():
            found = self._digest(key)
            if found is None:
                gone.add(key)
            elif digest and found != digest:
                differs.add(key)
        return gone, differs

    def read_elsewhere(self, keys: Collection[str], executor: Executor) -> None:
        """Let an executor hash these pictures; its workers see them under the same path."""
        paths = {self.path(key).absolute(): key for key in keys}
        for path, found in spread(_hash_file, sorted(paths), executor):
            if found is not None:
                size, changed, digest = found
                self._proved[paths[path], size, changed] = digest

    def _digest(self, key: str) -> str | None:
        """Return the hash of a picture; read again only when its size or time has changed."""
        path = self.path(key)
        try:
            stat = path.stat()
            seen = (key, stat.st_size, stat.st_mtime_ns)
            if seen not in self._proved:
                self._proved[seen] = hashlib.sha256(read_picture_bytes(path)).hexdigest()
        except (FileNotFoundError, UnreadableError):
            return None
        except OSError as error:
            raise explain_os_error(error, path, reading=True) from error
        return self._proved[seen]


def _hash_file(path: Path) -> tuple[int, int, str] | None:
    """Return size, time and hash of a file; None where it is not to be seen."""
    try:
        stat = path.stat()
        return (
            stat.st_size,
            stat.st_mtime_ns,
            hashlib.sha256(read_picture_bytes(path)).hexdigest(),
        )
    except OSError:
        return None


_NO_FLUSH = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


def _flush_folder(folder: Path) -> None:
    """Let a new name in a folder survive a power cut; Windows does so by itself.

    Some network shares cannot flush a folder and say so: there its server decides.
    """
    if os.name == "nt":
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in _NO_FLUSH:
            raise explain_os_error(error, folder) from error
