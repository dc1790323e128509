"""A parsed template and the ways to draw from it: the face of the package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from .lexer import ParserConfig
from .nodes import Sequence
from .parser import parse_sequence
from .sample import Sample
from .sampling import Dice, Drawer, Result, Rules, Scope
from .wildcards import WildcardLibrary


@dataclass(frozen=True)
class Template:
    """A template with everything that its prompts depend on; made by `parse`."""

    source: str
    root: Sequence
    rules: Rules
    variables: Mapping[str, Sequence] = field(default_factory=dict)
    ignore_whitespace: bool = False

    def random(self, seed: int) -> Sample:
        """Draw one prompt; the same seed always gives the same prompt."""
        result = Drawer(self.rules).random(self.root, self._scope(), Dice(seed))
        return self._sample(result, seed)

    def randoms(self, seeds: Iterable[int]) -> Iterator[Sample]:
        """Draw one prompt per seed; each as it would be alone."""
        return (self.random(seed) for seed in seeds)

    def combinations(self, most: int | None = None) -> Iterator[Sample]:
        """Enumerate all prompts, or the first `most`; the last part changes fastest."""
        results = Drawer(self.rules).combinations(self.root, self._scope())
        return (self._sample(result, None) for result in islice(results, most))

    def cyclical(self) -> Iterator[Sample]:
        """Draw for ever, every variant going round on its own."""
        results = Drawer(self.rules).cycles(self.root, self._scope())
        return (self._sample(result, None) for result in results)

    def _scope(self) -> Scope:
        return Scope({name: (value, None) for name, value in self.variables.items()})

    def _sample(self, result: Result, seed: int | None) -> Sample:
        text, picks = result
        return Sample(" ".join(text.split()) if self.ignore_whitespace else text, seed, picks)


def parse(
    text: str,
    library: WildcardLibrary | None = None,
    *,
    variables: Mapping[str, str] | None = None,
    config: ParserConfig | None = None,
    ignore_whitespace: bool = False,
    strict: bool = False,
    unknown_variable: str | None = None,
) -> Template:
    """Parse a template. Raises PromptSyntaxError (DP1xx) or LimitExceeded (DP130).

    `variables` are templates by name, as if set before the template. `strict` makes a missing
    wildcard an error (DP120) instead of leaving its reference in the text.
    """
    brackets = config or ParserConfig()
    rules = Rules(library or WildcardLibrary(), brackets, strict, unknown_variable)
    values = {
        name: parse_sequence(value, brackets, f"variable {name}")
        for name, value in (variables or {}).items()
    }
    root = parse_sequence(text, brackets, "")
    return Template(text, root, rules, values, ignore_whitespace)
