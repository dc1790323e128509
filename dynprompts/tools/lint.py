"""What is wrong, or probably not meant, in a template or a whole tree of wildcards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..errors import LimitExceeded, PromptSyntaxError
from ..nodes import Assign, Get, Node, Sequence, Variant, Wildcard
from ..resolver import insides
from ..scope import Rules
from ..wildcards import Collection, Document

ERROR, WARNING = "error", "warning"

_SEVERITIES = {
    "DP201": ERROR,  # missing reference
    "DP202": WARNING,  # ambiguous reference
    "DP203": WARNING,  # cycle with a way out
    "DP204": ERROR,  # broken file
    "DP205": WARNING,  # encoding
    "DP206": WARNING,  # value left out
    "DP207": WARNING,  # duplicate name
    "DP208": WARNING,  # tab
    "DP209": WARNING,  # undefined variable
    "DP210": WARNING,  # option that is never drawn
    "DP211": ERROR,  # nothing can be drawn
    "DP212": ERROR,  # cycle without a way out
}


class Finding(NamedTuple):
    """One thing that lint found; `where` is file:line:column, as far as it is known."""

    code: str
    severity: str
    message: str
    where: str

    def __str__(self) -> str:
        return f"{self.where}: {self.severity}: {self.message} [{self.code}]"


def lint_template(document: Document, rules: Rules, given: Iterable[str] = ()) -> list[Finding]:
    """Return what is to be said about a template and the wildcards that it leads to.

    `given` are the names of variables that are set from outside.
    """
    linter = _Linter(rules, set(given))
    linter.text(document, "")
    linter.follow()
    return linter.findings()


def lint_library(rules: Rules, given: Iterable[str] = ()) -> list[Finding]:
    """Return what is to be said about all wildcards of a library and about its files."""
    linter = _Linter(rules, set(given))
    linter.files()
    for name in rules.library.names:
        linter.collection(name)
    return linter.findings()


class _Linter:
    """Collects findings; each wildcard is read once, by its own name."""

    def __init__(self, rules: Rules, given: set[str]) -> None:
        self._rules, self._library = rules, rules.library
        self._found: dict[Finding, None] = {}
        self._leads: dict[str, list[tuple[Node, str, str]]] = {}
        self._exits: dict[str, list[set[str]]] = {}
        self._waiting: list[str] = []
        self._set = set(given)
        self._gets: list[tuple[str, str]] = []
        self._resolved: dict[str, tuple[str, ...]] = {}

    def findings(self) -> list[Finding]:
        """Return everything, in the order of files and lines."""
        self._cycles()
        for name, where in self._gets:
            if name not in self._set:
                self._say("DP209", f'the variable "{name}" is set nowhere here', where)
        return sorted(self._found, key=lambda one: (_place(one.where), one.code))

    def _say(self, code: str, message: str, where: str) -> None:
        severity = _SEVERITIES.get(code, ERROR)
        self._found.setdefault(Finding(code, severity, message, where))

    # Files

    def files(self) -> None:
        """Check encodings, tabs, broken files and names that are given twice."""
        for problem in self._library.problems():
            self._say(problem.code, problem.message, problem.where)
        for name, text in self._library.raw_texts():
            for number, line in enumerate(text.split("\n"), start=1):
                if "\t" in line:
                    where = f"{name}:{number}:{line.index(chr(9)) + 1}"
                    self._say("DP208", "a tab stands here; blanks are expected", where)
        for name in self._library.names:
            givers = self._library.givers(name)
            if len(givers) > 1:
                message = f'"{name}" is given by {" and ".join(givers)}; the last one counts'
                self._say("DP207", message, givers[-1])

    # Texts

    def follow(self) -> None:
        """Check every wildcard that was reached so far, and those that it leads to."""
        done: set[str] = set()
        while self._waiting:
            name = self._waiting.pop()
            if name not in done:
                done.add(name)
                self.collection(name)

    def collection(self, name: str) -> None:
        """Check all values of one wildcard."""
        found = self._library.collection(name)
        exits: list[set[str]] = []
        self._exits[name] = exits
        if found is None:
            exits.append(set())
            return
        self._weights(found, name)
        limits, config = self._rules.limits, self._rules.config
        for index in range(len(found.texts)):
            needed: set[str] = set()
            try:
                document = found.document(index, config, limits.nesting)
            except (PromptSyntaxError, LimitExceeded) as error:
                self._say(error.code, error.message, error.where)
                continue
            if document is not None:
                needed = self.text(document, name)
            if found.weights is None or found.weights[index] > 0:
                exits.append(needed)

    def _weights(self, found: Collection, name: str) -> None:
        weights = found.weights
        if weights is None:
            return
        if not any(weights):
            message = f'all values of "{name}" weigh 0, so none can be drawn'
            self._say("DP211", message, found.where(0))
            return
        for index, weight in enumerate(weights):
            if not weight:
                message = f'a value of "{name}" weighs 0 and is never drawn'
                self._say("DP210", message, _full(found, index))

    def text(self, document: Document, name: str) -> set[str]:
        """Check a text; return the wildcards that every draw of it needs."""
        return self._sequence(document.root, document, name)

    def _sequence(self, sequence: Sequence, document: Document, name: str) -> set[str]:
        needed: set[str] = set()
        for node in sequence.parts:
            where = document.origin.place(document.text, node.start)
            if isinstance(node, Variant):
                needed |= self._variant(node, document, name, where)
                continue
            inner = [self._sequence(one, document, name) for one in insides(node)]
            if isinstance(node, Wildcard):
                self._set.update(argument.name for argument in node.arguments)
                needed |= self._reference(node, name, where)
            elif isinstance(node, Assign):
                self._set.add(node.name)
            elif isinstance(node, Get):
                if node.default is None:
                    self._gets.append((node.name, where))
            else:
                needed = needed.union(*inner)
        return needed

    def _variant(self, variant: Variant, document: Document, name: str, where: str) -> set[str]:
        weights = [option.weight for option in variant.options]
        if not any(weights):
            if variant.high:
                self._say("DP211", "all options weigh 0, so none can be drawn", where)
        else:
            for option in variant.options:
                if not option.weight:
                    place = document.origin.place(document.text, option.start)
                    self._say("DP210", "this option weighs 0 and is never drawn", place)
        if variant.low > len(variant.options) and not _is_wildcard(variant):
            message = f"{variant.low} options are wanted, and there are {len(variant.options)}"
            self._say("DP210", message, where)
        every = [self._sequence(option.body, document, name) for option in variant.options]
        drawn = [one for one, weight in zip(every, weights, strict=True) if weight]
        if variant.low == 0 or not drawn:
            return set()
        return set.intersection(*drawn)

    def _reference(self, node: Wildcard, name: str, where: str) -> set[str]:
        path = node.path.plain
        if path is None:
            return set()
        if path not in self._resolved:
            self._resolved[path] = self._library.matching(path)
        names = self._resolved[path]
        if not names or self._library.collection(path) is None:
            said = "has no values" if names else "is not there"
            self._say("DP201", f'the wildcard "{path}" {said}', where)
            return set()
        exact = "/".join(part for part in path.replace("\\", "/").split("/") if part)
        is_glob = any(letter in path for letter in "*?[")
        if exact not in names and not is_glob and len(names) > 1:
            message = f'"{path}" can mean {" or ".join(names)}; all their values are drawn from'
            self._say("DP202", message, where)
        self._waiting += names
        for one in names:
            self._leads.setdefault(name, []).append((node, one, where))
        return set(names) if len(names) == 1 else set()

    # Cycles

    def _cycles(self) -> None:
        """A wildcard ends when one of its values needs nothing, or only wildcards that end."""
        ending: set[str] = set()
        grown = True
        while grown:
            grown = False
            for name, exits in self._exits.items():
                if name not in ending and any(needed <= ending for needed in exits):
                    ending.add(name)
                    grown = True
        for name in self._exits:
            for _, target, where in self._leads.get(name, ()):
                if not self._leads_to(target, name):
                    continue
                if name in ending:
                    self._say("DP203", f'"{name}" leads back to itself', where)
                elif self._exits.get(name):
                    self._say("DP212", f'"{name}" leads back to itself without a way out', where)

    def _leads_to(self, start: str, goal: str) -> bool:
        seen, waiting = {start}, [start]
        while waiting:
            name = waiting.pop()
            if name == goal:
                return True
            for _, target, _ in self._leads.get(name, ()):
                if target not in seen:
                    seen.add(target)
                    waiting.append(target)
        return False


def _is_wildcard(variant: Variant) -> bool:
    parts = variant.options[0].body.parts
    return len(variant.options) == 1 and len(parts) == 1 and isinstance(parts[0], Wildcard)


def _full(found: Collection, index: int) -> str:
    origin = found.origin(index)
    return f"{origin.name}:{origin.line}:{origin.column}"


def _place(where: str) -> tuple[str, tuple[int, ...]]:
    name, *numbers = _split(where)
    return name, tuple(int(number) for number in numbers)


def _split(where: str) -> Iterator[str]:
    parts = where.split(":")
    numbers: list[str] = []
    while len(parts) > 1 and parts[-1].isdigit():
        numbers.insert(0, parts.pop())
    yield ":".join(parts)
    yield from numbers
