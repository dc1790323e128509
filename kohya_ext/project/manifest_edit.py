"""Single values of the manifest changed in place, for screens: comments and all else stay.

The text is edited where YAML says that a value stands; then the result is read again, and only
written when it says exactly what was asked.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .files import unreadable, write_bytes_atomic
from .json_reader import read_bounded
from .limits import limits
from .manifest_reader import parse_manifest
from .project import Project

if TYPE_CHECKING:
    import yaml

Place = tuple[str, ...]
"""The keys that lead to a value: `("training", "max_train_epochs")`."""

_BOM = "\ufeff"
_INDENT = 2


def edit_manifest(project: Project, changes: Mapping[Place, Any]) -> Project:
    """Set values, and take out those that are None; return the project as it is then.

    Raises InputError (a value that a manifest cannot hold; a line in a form that is not edited
    here) or MachineError (cannot be read or written).
    """
    path = project.manifest_path
    try:
        whole = read_bounded(path, limits().text_bytes).decode("utf-8")
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    text = whole.removeprefix(_BOM)
    edited = edit_text(text, changes, str(path))
    manifest = parse_manifest(edited, path)
    if edited != text:
        mark = _BOM if whole.startswith(_BOM) else ""
        write_bytes_atomic(path, (mark + edited).encode("utf-8"))
    return Project(project.root, manifest)


def edit_text(text: str, changes: Mapping[Place, Any], where: str = "the manifest") -> str:
    """Return a manifest's text with changed values. Raises InputError."""
    import yaml

    wanted = _load(text)
    edited = text
    for place, value in changes.items():
        wanted = _with(wanted, place, value)
        try:
            edited = _set(edited, place, value) if value is not None else _remove(edited, place)
            found = _load(edited)
        except (yaml.YAMLError, _Unusual) as error:
            raise _refused(place, where) from error
        if found != wanted:
            raise _refused(place, where)
    return edited


class _Unusual(Exception):
    """A form of YAML that is not edited here, such as an alias."""


def _refused(place: Place, where: str) -> InputError:
    return InputError(
        "LL240",
        f"{'.'.join(place)} is written in {where} in a form that a screen cannot change.",
        "Write the line as `key: value`, with an editor.",
    )


def _load(text: str) -> dict[str, Any]:
    import yaml

    data = yaml.safe_load(text)
    if not isinstance(data, dict):
        raise _Unusual
    return data


def _with(data: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    """Return the data as they shall be; empty groups are left where a key is taken out."""
    changed = copy.deepcopy(data)
    inner = changed
    for key in place[:-1]:
        if value is None and not isinstance(inner.get(key), dict):
            return changed
        if not isinstance(inner.get(key), dict):
            inner[key] = {}
        inner = inner[key]
    if value is None:
        inner.pop(place[-1], None)
    else:
        inner[place[-1]] = json.loads(json.dumps(value))
    return changed


# Where a value is in the text.


def _set(text: str, place: Place, value: Any) -> str:
    node: yaml.Node = _compose(text)
    for depth, key in enumerate(place):
        mapping = _mapping(node)
        pair = _find(mapping, key)
        if pair is None:
            return _insert(text, mapping, place[depth:], value)
        node = pair[1]
        if depth < len(place) - 1 and _is_null(node):
            return _replace(text, *pair, _nested(place[depth + 1 :], value))
        if depth == len(place) - 1:
            return _replace(text, *pair, value)
    raise _Unusual


def _compose(text: str) -> yaml.MappingNode:
    import yaml

    return _mapping(yaml.compose(text, Loader=yaml.SafeLoader))


def _mapping(node: yaml.Node | None) -> yaml.MappingNode:
    import yaml

    if not isinstance(node, yaml.MappingNode):
        raise _Unusual
    return node


def _find(mapping: yaml.MappingNode, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    return next((pair for pair in mapping.value if pair[0].value == key), None)


def _is_null(node: yaml.Node) -> bool:
    return node.tag == "tag:yaml.org,2002:null"


def _nested(place: Place, value: Any) -> Any:
    for key in reversed(place):
        value = {key: value}
    return value


def _shown(value: Any) -> str:
    """Return a value as JSON, which is YAML as well."""
    return json.dumps(value, ensure_ascii=False)


def _replace(text: str, key: yaml.Node, node: yaml.Node, value: Any) -> str:
    """Put a value in the place of another; what follows on its line, a comment, stays."""
    begin, end = node.start_mark.index, _end_of(node)
    if begin < key.end_mark.index:
        raise _Unusual  # an alias: the value stands somewhere else
    if _is_block(node) or begin == end:
        begin = text.index(":", key.end_mark.index) + 1
        return f"{text[:begin]} {_shown(value)}{text[max(begin, end) :]}"
    return f"{text[:begin]}{_shown(value)}{text[end:]}"


def _is_block(node: yaml.Node) -> bool:
    import yaml

    return isinstance(node, yaml.CollectionNode) and not node.flow_style


def _end_of(node: yaml.Node) -> int:
    """Return where a value ends; a block's own mark lies behind the comments that follow it."""
    import yaml

    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end_of(last[1] if isinstance(last, tuple) else last)
    end: int = node.end_mark.index
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        return end - 1 if end else end  # its last line break belongs to the line
    return end


def _insert(text: str, mapping: yaml.MappingNode, place: Place, value: Any) -> str:
    """Add a key to a mapping, behind its last one."""
    if mapping.flow_style:
        begin = mapping.start_mark.index + 1
        comma = ", " if mapping.value else ""
        shown = f"{place[0]}: {_shown(_nested(place[1:], value))}"
        return f"{text[:begin]}{shown}{comma}{text[begin:]}"
    column = mapping.value[0][0].start_mark.column
    at = text.find("\n", _end_of(mapping))
    at = len(text) if at < 0 else at + 1
    line_end = "\r\n" if "\r\n" in text else "\n"
    before = text[:at] if text[:at].endswith("\n") else text[:at] + line_end
    return before + _lines(place, value, column, line_end) + text[at:]


def _lines(place: Place, value: Any, column: int, line_end: str) -> str:
    lines = [f"{' ' * (column + depth * _INDENT)}{key}:" for depth, key in enumerate(place)]
    return line_end.join(lines) + f" {_shown(value)}{line_end}"


def _remove(text: str, place: Place) -> str:
    """Take a key out with its lines; a group that would be empty becomes {}."""
    node: yaml.Node = _compose(text)
    pairs = []
    for key in place:
        pair = _find(_mapping(node), key) if not _is_null(node) else None
        if pair is None:
            return text
        pairs.append((node, *pair))
        node = pair[1]
    mapping, key_node, value_node = pairs[-1]
    group = _mapping(mapping)
    if group.flow_style or len(group.value) == 1:
        if len(pairs) < 2:
            raise _Unusual
        rest = _plain(text, place[:-1])
        rest.pop(place[-1], None)
        return _replace(text, pairs[-2][1], group, rest)
    begin = text.rfind("\n", 0, key_node.start_mark.index) + 1
    end = text.find("\n", max(_end_of(value_node), key_node.end_mark.index))
    return text[:begin] + ("" if end < 0 else text[end + 1 :])


def _plain(text: str, place: Place) -> dict[str, Any]:
    data: Any = _load(text)
    for key in place:
        data = data[key]
    return dict(data)
