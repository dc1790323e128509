"""A parsed template and the ways to draw from it: the face of the package."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import LimitExceeded, PromptError, counted
from .lexer import ParserConfig
from .limits import LIMITS, Limits
from .nodes import Sequence
from .randomness import below, draw, mix, slot_keys
from .resolver import Resolver, numbered, read_document
from .sample import Sample
from .scope import Binding, Rules, Scope
from .sequences import Sequenced
from .spaces import Picks, Space, Texts, joined, unknown
from .values import Document
from .wildcards import WildcardLibrary

if TYPE_CHECKING:
    from .survey import Reach, Survey, VariantFacts
    from .tools.coverage import Coverage

T = TypeVar("T")


class Template:
    """A template with everything that its prompts depend on; made by `parse`."""

    def __init__(
        self,
        document: Document,
        rules: Rules,
        variables: Mapping[str, Document],
        ignore_whitespace: bool,
        no_repeats: bool | frozenset[str] = False,
    ) -> None:
        self._document, self.rules = document, rules
        self.variables = variables
        self.ignore_whitespace = ignore_whitespace
        self.no_repeats = no_repeats
        self._space: Space | None = None
        self._version = -1

    @property
    def document(self) -> Document:
        """The template's text and tree."""
        return self._document

    @property
    def source(self) -> str:
        """The template's text."""
        return self._document.text

    @property
    def root(self) -> Sequence:
        """The template's tree."""
        return self._document.root

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash(self.root)

    def _compared(self) -> tuple[object, ...]:
        variables = {name: one.root for name, one in self.variables.items()}
        return self.root, self.rules, variables, self.ignore_whitespace, self.no_repeats

    def __str__(self) -> str:
        from .unparser import unparse

        return unparse(self.root, self.rules.config)

    # One prompt per seed

    def random(self, seed: int) -> Sample:
        """Draw one prompt; the same seed always gives the same prompt."""
        return next(self.randoms((seed,)))

    def randoms(self, seeds: Iterable[int]) -> Iterator[Sample]:
        """Draw one prompt per seed; each as it would be alone."""
        return self._draws(self.space, seeds)

    def _draws(self, space: Space, seeds: Iterable[int]) -> Iterator[Sample]:
        squeezed, limits = self.ignore_whitespace, self.rules.limits
        for seed in seeds:
            texts: Texts = []
            picks: Picks = []
            try:
                space.draw(mix(seed), {"seed": seed, "spent": [0]}, texts, picks)
                text = joined(texts, limits)
            except RecursionError:
                raise _too_deep() from None
            yield Sample(" ".join(text.split()) if squeezed else text, seed, tuple(picks))

    # All combinations

    def count(self, depth: int | None = None) -> int:
        """Count all combinations, without going through them. LimitExceeded DP131, DP133.

        `depth` leaves out what lies deeper in wildcards and variables, so that wildcards that
        lead back to themselves can be counted.
        """
        if depth is not None:
            return _whole(lambda: self._cut(depth).size)
        return _whole(lambda: self.space.size)

    def _cut(self, depth: int) -> Space:
        """Return the space without what lies deeper than `depth`."""
        resolver = Resolver(self.rules, depth)
        return resolver.document(self._numbered, self._scope(by_depth=True))

    def combination(self, number: int) -> Sample:
        """Return combination `number`, from 0. Raises IndexError when there is none."""
        if not 0 <= number < self.count():
            raise IndexError(
                f"there are {counted(self.count(), 'combination')}, but number {number} is asked"
            )
        return _guarded(lambda: self._unranked(number))

    def combinations(self, most: int | None = None, start: int = 0) -> Iterator[Sample]:
        """Go through all prompts, or `most` of them; the last part changes fastest."""
        if start:
            end = self.count() if most is None else min(self.count(), start + most)
            return (self._unranked(number) for number in _counting(start, end))
        return islice(self._combinations(), most)

    def _combinations(self) -> Iterator[Sample]:
        known = unknown()
        results = self.space.iterate(known)
        number = -1
        while True:
            number += 1
            known["spent"][0] = 0
            result = _guarded(lambda: next(results, None))
            if result is None:
                return
            yield Sample(self._squeezed(result[0]), None, result[1], number)

    def sample(self, amount: int, seed: int = 0, depth: int | None = None) -> list[Sample]:
        """Draw `amount` different prompts, each combination equally likely, without going
        through them; fewer where there are fewer, or where most combinations read the same.

        Where they cannot be counted, each prompt is drawn as `random` does it. `depth` leaves out
        what lies deeper in wildcards and variables.
        """
        tries = _PATIENCE * amount + 1_000
        try:
            space = self.space if depth is None else _guarded(lambda: self._cut(depth))
            total = _whole(lambda: space.size)
        except LimitExceeded:
            if depth is not None:
                raise
            return _distinct(self._drawn(seed, tries), amount)
        numbers = islice(_different(total, seed), tries)
        return _guarded(lambda: _distinct((self._unranked(n, space) for n in numbers), amount))

    def _drawn(self, seed: int, tries: int) -> Iterator[Sample]:
        """Draw with seeds that follow from one; what nests too deeply is left out."""
        state, keys = mix(seed), slot_keys("sample")
        drawn = failed = 0
        for _ in range(tries):
            state = draw(state, keys)
            try:
                one = self.random(state)
            except LimitExceeded:
                failed += 1
                if failed > _PATIENCE * (drawn + 1):
                    if not drawn:
                        raise
                    return
                continue
            drawn += 1
            yield one

    def cyclical(self) -> Iterator[Sample]:
        """Draw for ever, every variant going round on its own."""
        number = -1
        while True:
            number += 1
            texts: Texts = []
            picks: Picks = []
            _guarded(lambda: self.space.turn(number, unknown(number), texts, picks))  # noqa: B023  # called at once
            text = self._squeezed(joined(texts, self.rules.limits))
            yield Sample(text, None, tuple(picks), number)

    def _unranked(self, number: int, space: Space | None = None) -> Sample:
        texts: Texts = []
        picks: Picks = []
        (space or self.space).unrank(number, unknown(number), texts, picks)
        text = self._squeezed(joined(texts, self.rules.limits))
        return Sample(text, None, tuple(picks), number)

    def _squeezed(self, text: str) -> str:
        return " ".join(text.split()) if self.ignore_whitespace else text

    # Batches

    def balanced(self, amount: int, *names: str, seed: int = 0) -> list[Sample]:
        """Draw prompts for the seeds from `seed` on, with every option of the variants called
        `names` as often as any other; without names, of all variants held in variables.

        Raises PromptError DP123 for a name that no variant has.
        """
        from .tools.balance import BalancingResolver

        choices = self.choices
        for name in names:
            if name not in choices:
                known = ", ".join(sorted(choices)) or "none"
                raise PromptError(
                    "DP123", f'no variant or wildcard is called "{name}"; there are: {known}'
                )
        chosen = names or tuple(label for label, one in choices.items() if one.named)
        space = self.resolved(BalancingResolver(self.rules, chosen, seed))
        return list(self._draws(space, range(seed, seed + amount)))

    def coverage(self, samples: Iterable[Sample]) -> Coverage:
        """Report what a batch drew of each variant and wildcard."""
        from .tools.coverage import count_coverage

        return count_coverage(samples, self.choices.values())

    # Without drawing

    def reach(self) -> Reach:
        """List everything that a prompt can ever contain: tags, wildcards, variables."""
        return self._survey().reach

    @property
    def choices(self) -> dict[str, VariantFacts]:
        """All variants and wildcards, by the names that their picks have."""
        return self._survey().choices

    def _survey(self) -> Survey:
        from .survey import Survey

        survey = Survey(self.rules)
        _whole(lambda: survey.walk(self._document, self.scope))
        return survey

    # What it stands on

    @property
    def space(self) -> Space:
        """What the template can become, resolved again when the library changed."""
        version = self.rules.library.version
        if self._space is None or self._version != version:
            self._space = self.resolved(self._resolver())
            if isinstance(self._space, Sequenced):
                self._space.list_lone_stream()
            self._version = version
        return self._space

    def _resolver(self) -> Resolver:
        if not self.no_repeats:
            return Resolver(self.rules)
        from .unrepeated import UnrepeatedResolver

        names = self.no_repeats if isinstance(self.no_repeats, frozenset) else None
        return UnrepeatedResolver(self.rules, names)

    def resolved(self, resolver: Resolver) -> Space:
        """Resolve the template."""
        return _guarded(lambda: resolver.document(self._numbered, self.scope))

    @cached_property
    def _numbered(self) -> Document:
        return numbered(self._document)

    @property
    def scope(self) -> Scope:
        """A new scope for the template to be in: the variables given with it.

        Spaces are kept with their scope, so each resolver needs one of its own.
        """
        return self._scope()

    def _scope(self, by_depth: bool = False) -> Scope:
        bindings = {
            name: Binding(numbered(document).root, document)
            for name, document in self.variables.items()
        }
        return Scope.outermost(bindings, by_depth)


def _guarded(call: Callable[[], T]) -> T:
    try:
        return call()
    except RecursionError:
        raise _too_deep() from None


def _whole(call: Callable[[], T]) -> T:
    """Look at all of a template: nothing of it is garbage, and looking for some takes half the
    time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _guarded(call)
    finally:
        if collecting:
            gc.enable()


def _too_deep() -> LimitExceeded:
    return LimitExceeded("DP131", "wildcards, variables and brackets nest too deeply together")


def _counting(start: int, end: int) -> Iterator[int]:
    while start < end:
        yield start
        start += 1


def _distinct(samples: Iterable[Sample], amount: int) -> list[Sample]:
    """Return the first `amount` samples that read differently."""
    found: dict[str, Sample] = {}
    if amount:
        for one in samples:
            found.setdefault(one.text, one)
            if len(found) >= amount:
                break
    return list(found.values())


def _different(total: int, seed: int) -> Iterator[int]:
    """Yield different numbers below `total`, all equally likely; each one comes in the end."""
    state, keys = mix(seed), slot_keys("sample")
    moved: dict[int, int] = {}
    for place in _counting(0, total):
        state = draw(state, keys)
        other = place + below(total - place, state, keys)
        yield moved.get(other, other)
        moved[other] = moved.pop(place, place)


def parse(
    text: str,
    library: WildcardLibrary | None = None,
    *,
    variables: Mapping[str, str] | None = None,
    config: ParserConfig | None = None,
    ignore_whitespace: bool = False,
    strict: bool = False,
    unknown_variable: str | None = None,
    limits: Limits = LIMITS,
    no_repeats: bool | Iterable[str] = False,
) -> Template:
    """Parse a template. Raises PromptSyntaxError (DP1xx) or LimitExceeded (DP130).

    `variables` are templates by name, as if set before the template. `strict` makes a missing
    wildcard an error (DP120) instead of leaving its reference in the text. `no_repeats` draws no
    option twice in one prompt as long as others are left: of all variants and wildcards, or of
    those that are named as their picks are.
    """
    brackets = config or _DEFAULT
    rules = Rules(library or _NO_WILDCARDS, brackets, strict, unknown_variable, limits)
    values: dict[str, Any] = {}
    for name, value in (variables or {}).items():
        values[name] = read_document(value, rules, f"variable {name}")
    unrepeated = no_repeats if isinstance(no_repeats, bool) else frozenset(no_repeats)
    return Template(read_document(text, rules), rules, values, ignore_whitespace, unrepeated)


def parse_lines(
    text: str, library: WildcardLibrary | None = None, **options: Any
) -> list[Template]:
    """Parse each line as a template of its own; empty ones and "#" lines are left out.

    Takes the options of `parse`. An error tells the line in the whole text.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            found.append(parse(line.strip(), library, **options))
        except PromptError as error:
            error.where = f"line {number}, {error.where}"
            raise
    return found


_PATIENCE = 20
_DEFAULT = ParserConfig()
_NO_WILDCARDS = WildcardLibrary()
