"""What is in wildcard files: values with weights and places, by name.

    name.txt                  one value a line; "#" lines and empty lines are left out
    d/f.yaml, .yml, .json     keys below d/, values as lists: text, "3::text", {text, weight}
Nothing here touches the disk; `wildcards` finds and reads the files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .errors import Origin

MOST_VALUES = 300_000
"""Values and keys of one yaml or json file; one that says more, by its aliases, is refused."""

MOST_LEVELS = 100
"""Keys within keys of one yaml or json file."""

_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]*)?|\.[0-9]+")
_STRING = re.compile(r'"(?:[^"\\]|\\(?:.|\Z))*(?:"|\Z)', re.DOTALL)
_NESTED = re.compile(r"\{[^{}]*\}")


class FileProblem(NamedTuple):
    """Something about a file that a reader should know; the file is used as far as it goes."""

    code: str
    message: str
    where: str


class FileEntry(NamedTuple):
    """One value as a file gives it."""

    text: str
    weight: float
    origin: Origin


class FileValues(NamedTuple):
    """All that one file gives: entries by wildcard name, and what is wrong with it."""

    names: dict[str, list[FileEntry]]
    problems: list[FileProblem]


def decode(content: bytes, where: str, problems: list[FileProblem]) -> str:
    """Decode a file: UTF-8 with or without BOM, UTF-16 with BOM, otherwise windows-1252."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        problems.append(FileProblem("DP205", "the file is UTF-16; UTF-8 is expected", where))
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = "the file is not UTF-8 and is read as windows-1252"
        problems.append(FileProblem("DP205", message, f"{where}:{line}"))
        return content.decode("cp1252", errors="replace")


def split_weight(text: str) -> tuple[float, str]:
    """weight = number "::" before a text that has no "::" of its own outside of brackets

    A number of more than 15 digits is none: sums of such weights are no longer exact.
    """
    head, mark, tail = text.partition("::")
    if not mark or not _NUMBER.fullmatch(head.strip()):
        return 1.0, text
    if "::" in tail and "::" in _without_brackets(tail):
        return 1.0, text
    return float(head), tail


def _without_brackets(text: str) -> str:
    for _ in range(10):
        text, found = _NESTED.subn("", text)
        if not found:
            break
    return text


# Trees


class Scalar(NamedTuple):
    """A text of a tree, or something else: then `text` is None and `shown` tells what it is."""

    text: str | None
    shown: str
    origin: Origin


class ValueTree(NamedTuple):
    """A mapping (pairs) or a list (items) of a tree."""

    pairs: list[tuple[Any, Any]]
    items: list[Any]
    is_mapping: bool


def read_json(text: str, where: str) -> Any:
    """Read JSON as Scalar and Tree. Raises ValueError or RecursionError."""
    import json

    places = (found.start() for found in _STRING.finditer(text))
    counted = _Lines(text)
    data = json.loads(text, object_pairs_hook=_Pairs)

    def scalar(value: object) -> Scalar:
        if isinstance(value, str):
            line, column = counted.at(next(places))
            return Scalar(value, value, Origin(where, line, column + 1))
        return Scalar(None, json.dumps(value), Origin(where))

    def build(value: object) -> Any:
        if isinstance(value, _Pairs):
            pairs = [(scalar(key), build(one)) for key, one in value]
            return ValueTree(pairs, [], True)
        if isinstance(value, list):
            return ValueTree([], [build(one) for one in value], False)
        return scalar(value)

    return build(data)


class _Pairs(list[Any]):
    """A JSON object in its order, with keys that come twice."""


class _Lines:
    """Lines and columns of growing offsets, each counted on from the one before."""

    def __init__(self, text: str) -> None:
        self._text, self._offset, self._line, self._start = text, 0, 1, 0

    def at(self, offset: int) -> tuple[int, int]:
        breaks = self._text.count("\n", self._offset, offset)
        if breaks:
            self._line += breaks
            self._start = self._text.rindex("\n", self._offset, offset) + 1
        self._offset = offset
        return self._line, offset - self._start + 1


def read_yaml(text: str, where: str) -> Any:
    """Read YAML as Scalar and Tree, without recursion. Raises yaml.YAMLError."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    resolver = yaml.resolver.Resolver()
    lines = text.split("\n")
    anchors: dict[str, Any] = {}
    root: list[Any] = []
    stack: list[tuple[ValueTree, list[Any]]] = []
    documents = 0

    def put(node: Any) -> None:
        if not stack:
            root.append(node)
            return
        tree, waiting = stack[-1]
        if not tree.is_mapping:
            tree.items.append(node)
        elif waiting:
            tree.pairs.append((waiting.pop(), node))
        else:
            waiting.append(node)

    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.ScalarEvent):
            node: Any = _yaml_scalar(event, resolver, lines, where)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise yaml.YAMLError(f"the alias *{event.anchor} has no anchor")
            put(anchors[event.anchor])
            continue
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            node = ValueTree([], [], isinstance(event, yaml.MappingStartEvent))
        else:
            if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                stack.pop()
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise yaml.YAMLError("the file has several documents")
            continue
        if event.anchor:
            anchors[event.anchor] = node
        put(node)
        if isinstance(node, ValueTree):
            stack.append((node, []))
    return root[0] if root else None


def _yaml_scalar(event: Any, resolver: Any, lines: list[str], where: str) -> Scalar:
    import yaml

    style, mark = event.style, event.start_mark
    line, column, indent = mark.line + 1, mark.column + 1, 0
    if style in ("|", ">"):
        line += 1
        while line < len(lines) and not lines[line - 1].strip():
            line += 1
        body = lines[line - 1] if line <= len(lines) else ""
        indent = len(body) - len(body.lstrip(" "))
        column = indent + 1
        line -= len(event.value) - len(event.value.lstrip("\n"))
    elif style:
        column += 1
    tag = event.tag
    if tag is None or tag == "!":
        tag = resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
    is_text = tag == "tag:yaml.org,2002:str"
    origin = Origin(where, line, column, indent)
    return Scalar(event.value if is_text else None, event.value, origin)


# From trees to entries


def tree_values(
    tree: Any, folder: str, own_name: str, where: str, weights_in_lists: bool = False
) -> FileValues:
    """Return what a yaml or json tree gives: keys below `folder`, a list by the file's own name.

    A file that is a list is as a text file: "3::red" is red with weight 3 only where asked for.
    """
    found = FileValues({}, [])
    if isinstance(tree, ValueTree):
        _TreeReader(found, where, weights_in_lists or tree.is_mapping).read(tree, folder, own_name)
    elif tree is not None:
        found.problems.append(FileProblem("DP206", "the file contains no lists of values", where))
    return found


class TooMuch(ValueError):
    """A file whose aliases multiply, or whose keys nest, beyond reason."""


class _TreeReader:
    def __init__(self, found: FileValues, where: str, weighted: bool) -> None:
        self._found, self._where, self._left = found, where, MOST_VALUES
        self._weighted = weighted

    def read(self, tree: ValueTree, prefix: str, own_name: str) -> None:
        if not tree.is_mapping:
            self._found.names[own_name] = list(self._entries(tree, own_name))
            return
        self._mapping(tree, prefix, 0)

    def _spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise TooMuch(f"the file contains more than {MOST_VALUES} values")

    def _problem(self, code: str, message: str, origin: Origin) -> None:
        self._found.problems.append(
            FileProblem(code, message, f"{origin.name}:{origin.line}:{origin.column}")
        )

    def _mapping(self, tree: ValueTree, prefix: str, level: int) -> None:
        if level > MOST_LEVELS:
            raise TooMuch(f"the file's keys are nested more than {MOST_LEVELS} deep")
        seen: set[str] = set()
        for key, node in _merged(tree):
            self._spend()
            if not isinstance(key, Scalar) or key.text is None:
                origin = key.origin if isinstance(key, Scalar) else Origin(self._where)
                shown = key.shown if isinstance(key, Scalar) else "a list or mapping"
                self._problem("DP206", f"the key {shown} is not text and is left out", origin)
                continue
            name = "/".join(part for part in f"{prefix}{key.text}".split("/") if part)
            if key.text in seen:
                self._problem("DP207", f'"{name}" is given twice; the last one is used', key.origin)
            seen.add(key.text)
            if isinstance(node, ValueTree) and node.is_mapping:
                self._mapping(node, f"{name}/", level + 1)
            elif isinstance(node, ValueTree):
                self._found.names[name] = list(self._entries(node, name))
            elif node.text is not None:
                self._found.names[name] = (
                    [FileEntry(node.text, 1.0, node.origin)] if node.text else []
                )
            else:
                message = f'"{name}" has no values ({node.shown}) and is left out'
                self._problem("DP206", message, key.origin)

    def _entries(self, tree: ValueTree, name: str) -> Iterator[FileEntry]:
        for item in tree.items:
            self._spend()
            entry = self._entry(item, name)
            if entry is not None and entry.text:
                yield entry

    def _entry(self, item: Any, name: str) -> FileEntry | None:
        if isinstance(item, Scalar) and item.text is not None:
            weight, text = split_weight(item.text) if self._weighted else (1.0, item.text)
            shift = len(item.text) - len(text)
            origin = item.origin._replace(column=item.origin.column + shift)
            return FileEntry(text, weight, origin)
        if isinstance(item, ValueTree) and item.is_mapping:
            fields = {key.text: value for key, value in item.pairs if isinstance(key, Scalar)}
            said, heavy = fields.get("text", fields.get("content")), fields.get("weight")
            number = heavy.shown if isinstance(heavy, Scalar) else "1"
            if isinstance(said, Scalar) and said.text is not None and _NUMBER.fullmatch(number):
                return FileEntry(said.text, float(number), said.origin)
        origin = item.origin if isinstance(item, Scalar) else Origin(self._where)
        shown = item.shown if isinstance(item, Scalar) else "a list or mapping"
        self._problem("DP206", f'a value of "{name}" is not text and is left out: {shown}', origin)
        return None


def _merged(tree: ValueTree) -> Iterator[tuple[Any, Any]]:
    """The pairs of a mapping; those that `<<` brings come first, so that its own ones count."""
    own = []
    for key, node in tree.pairs:
        if isinstance(key, Scalar) and key.text is None and key.shown == "<<":
            for one in (
                node.items if isinstance(node, ValueTree) and not node.is_mapping else [node]
            ):
                yield from one.pairs if isinstance(one, ValueTree) else []
        else:
            own.append((key, node))
    yield from own


def read_tree(suffix: str) -> Callable[[str, str], Any]:
    """Return the reader for a file's suffix."""
    return read_json if suffix == ".json" else read_yaml
