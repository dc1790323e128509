"""JSON from outside: files, answers, requests. Bounded in size, and one error for all damage.

Everything that can be wrong with it is one ShapeError: its sentence goes into the caller's error.
"""

from __future__ import annotations

import codecs
import errno
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from .errors import ToolError
from .files import set_aside
from .limits import limits

_Read = TypeVar("_Read")
_log = logging.getLogger(__name__)
_NAMES = {list: "a list", str: "text", bool: "true or false", type(None): "null"}


class ShapeError(ValueError):
    """JSON is damaged, too large, nested too deeply, or not an object; one short clause."""


class UnreadableError(ShapeError, OSError):
    """A file is refused before it is read: it is longer than its limit, or no regular file."""

    def __init__(self, number: int, clause: str, path: Path) -> None:
        OSError.__init__(self, number, clause, str(path))

    def __str__(self) -> str:
        return str(self.strerror)


def parse_with_pictures(content: bytes | bytearray) -> Any:
    """Parse an answer that begins with "images": those texts come as views, not as copies.

    Megabytes of base64 as JSON text cost more than to decode them. Any other form is parsed as
    usual. Raises ShapeError.
    """
    head = _IMAGES.match(content)
    if head is None:
        return parse_json(content)
    view, at, found = memoryview(content), head.end(), list[memoryview]()
    is_next = content[at : at + 1] == b'"'
    while is_next:
        end = content.find(b'"', at + 1)
        if end < 0 or content.find(b"\\", at, end) >= 0:
            return parse_json(content)
        found.append(view[at + 1 : end])
        after = _AFTER.match(content, end + 1)
        is_next = bool(after and after[1])
        at = after.end() if after else end + 1
    if not found or content[at : at + 1] != b"]":
        return parse_json(content)
    data = parse_json(bytes(content[: head.end()]) + bytes(content[at:]))
    data["images"] = found
    return data


_IMAGES = re.compile(rb'\s*\{\s*"images"\s*:\s*\[\s*')
_AFTER = re.compile(rb"\s*(,\s*(?=\"))?")


def parse_json_of_kind(text: str, kind: str) -> dict[str, Any]:
    """Parse what one of our pages saved: an object of a kind, in format 1. Raises ShapeError."""
    data = parse_json(text)
    if not isinstance(data, dict) or data.get("kind") != kind or data.get("format") != 1:
        raise ShapeError(f'it is not of the kind "{kind}"')
    return data


def parse_json(content: bytes | bytearray | str) -> Any:
    """Parse JSON in UTF-8, with or without a byte order mark. Raises ShapeError.

    Half a letter, as an escape can spell it, becomes "\ufffd": nothing could write it down.
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        found = json.loads(text.removeprefix("\ufeff"))
        return _with_whole_letters(found) if _HALF.search(text) else found
    except RecursionError:
        raise ShapeError("it is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise _not_utf8(error) from error
    except ValueError as error:
        raise ShapeError(f"it is not valid JSON: {error}") from error


def _not_utf8(error: UnicodeDecodeError) -> ShapeError:
    if error.object.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ShapeError("it is UTF-16 text, not UTF-8")  # Notepad's "Unicode"
    return ShapeError(f"it is not UTF-8 text (byte {error.start})")


_HALF = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")


def _with_whole_letters(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_with_whole_letters(one) for one in value]
    if isinstance(value, dict):
        return {_with_whole_letters(key): _with_whole_letters(one) for key, one in value.items()}
    return value


def read_json(path: Path) -> Any:
    """Read a JSON file of at most `limits().json_bytes`. Raises ShapeError, OSError."""
    return parse_json(read_bounded(path, limits().json_bytes))


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object. Raises ShapeError, OSError."""
    found = read_json(path)
    if not isinstance(found, dict):
        raise ShapeError(f"it contains {_NAMES.get(type(found), 'a number')}, not an object")
    return found


def require_texts(value: Any) -> tuple[str, ...]:
    """Return a list of texts as a tuple. Raises ShapeError for anything else."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ShapeError(f"{json.dumps(value)[:60]} is not a list of texts")
    return tuple(value)


def read_or_set_aside(path: Path, parse: Callable[[Any], _Read], empty: _Read) -> _Read:
    """Read a JSON file of ours that can be begun again; `empty` where there is none.

    A damaged one is kept beside its place, and named in the log.
    """
    try:
        return parse(read_json(path))
    except FileNotFoundError:
        return empty
    except (OSError, ArithmeticError, ValueError, LookupError, TypeError, AttributeError) as error:
        why = error
    try:
        _log.warning("%s is damaged (%s); it is kept as %s.", path, why, set_aside(path).name)
    except ToolError as error:
        _log.warning("%s is damaged (%s): %s", path, why, error)
    return empty


def read_text(path: Path, most_bytes: int | None = None, encoding: str = "utf-8-sig") -> str:
    """Read a UTF-8 text file of at most `limits().text_bytes`, line ends as "\\n".

    Raises ShapeError, OSError.
    """
    content = read_bounded(path, limits().text_bytes if most_bytes is None else most_bytes)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise _not_utf8(error) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """Read a whole regular file that is no longer than `most_bytes`. Raises ShapeError, OSError.

    Windows takes memory for all that is asked for: so much as the file holds, more if it grew.
    """
    require_regular(path)
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        content = stream.read(min(size, most_bytes) + 1)
        if len(content) > size:
            content += stream.read(most_bytes + 1 - len(content))
    if len(content) > most_bytes:
        raise UnreadableError(errno.EFBIG, f"it is longer than {most_bytes} bytes", path)
    return content


def read_picture_bytes(path: Path) -> bytes:
    """Read a picture's whole file, at most `limits().picture_bytes`. Raises OSError."""
    return read_bounded(path, limits().picture_bytes)


def read_beginning(path: Path, most_bytes: int = 100_000) -> str:
    """Return a text as far as that, to look at it: letters that are not UTF-8 become "\ufffd".

    Raises OSError.
    """
    require_regular(path)
    with path.open("rb") as stream:
        return stream.read(most_bytes).decode("utf-8", "replace")


def read_lines(path: Path, most_bytes: int) -> Iterator[bytes]:
    """Yield the lines of a regular file of any length, each no longer than `most_bytes`.

    The line end is left on. Raises ShapeError, OSError.
    """
    require_regular(path)
    with path.open("rb") as stream:
        while line := stream.readline(most_bytes + 1):
            if len(line) > most_bytes:
                raise UnreadableError(
                    errno.EFBIG, f"a line is longer than {most_bytes} bytes", path
                )
            yield line


def require_regular(path: Path) -> None:
    """Refuse a folder, and a pipe or device, whose reading may never end."""
    if not path.is_file() and path.exists():
        raise UnreadableError(errno.EINVAL, "it is not a regular file", path)
