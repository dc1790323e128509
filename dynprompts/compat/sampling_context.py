"""Draws prompts from texts or commands, as dynamicprompts' own context does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from random import Random

from ..errors import PromptSyntaxError, UndefinedVariable
from ..sample import Sample
from ..template import Template
from ..template import parse as parse_template
from ..unparser import unparse
from .commands import Command, sequence_of
from .constants import DEFAULT_RANDOM
from .enums import SamplingMethod
from .parser.config import ParserConfig, default_parser_config
from .parser.parse import parse_exception
from .sampling_result import SamplingResult
from .wildcards.wildcard_manager import WildcardManager


@dataclass(frozen=True)
class SamplingContext:
    """How to draw: the method, the wildcards, the source of chance, the variables."""

    default_sampling_method: SamplingMethod
    wildcard_manager: WildcardManager
    ignore_whitespace: bool = False
    parser_config: ParserConfig = default_parser_config
    rand: Random = DEFAULT_RANDOM
    variables: dict[str, Command] = field(default_factory=dict)
    unknown_variable_value: str | Command | None = None

    def with_sampling_method(self, sampling_method: SamplingMethod) -> SamplingContext:
        """Return the context with another method."""
        return replace(self, default_sampling_method=sampling_method)

    def with_variables(self, variables: dict[str, Command]) -> SamplingContext:
        """Return the context with more variables."""
        return replace(self, variables={**self.variables, **variables})

    def template(self, prompt: str | Command) -> Template:
        """Return the template of a text or command."""
        unknown = self.unknown_variable_value
        try:
            return parse_template(
                self._text(prompt),
                self.wildcard_manager.library,
                variables={name: self._text(value) for name, value in self.variables.items()},
                config=self.parser_config,
                ignore_whitespace=self.ignore_whitespace,
                unknown_variable=self._text(unknown) if unknown is not None else None,
            )
        except PromptSyntaxError as error:
            raise parse_exception(error) from error

    def _text(self, prompt: str | Command) -> str:
        if isinstance(prompt, str):
            return prompt
        if isinstance(prompt, Command):
            return unparse(sequence_of(prompt), self.parser_config)
        raise TypeError(f"a text or a command is expected, but this is {type(prompt).__name__}")

    def sample_prompts(
        self, prompt: str | Command, num_prompts: int | None = None
    ) -> Iterator[SamplingResult]:
        """Draw prompts, at most `num_prompts`; without a number all, or for ever."""
        if not prompt:
            return iter(())
        return islice(self._results(self._samples(self.template(prompt))), num_prompts)

    def _samples(self, template: Template) -> Iterator[Sample]:
        if self.default_sampling_method is SamplingMethod.COMBINATORIAL:
            return template.combinations()
        if self.default_sampling_method is SamplingMethod.CYCLICAL:
            return template.cyclical()
        return (template.random(self.rand.getrandbits(64)) for _ in iter(int, 1))

    def _results(self, samples: Iterator[Sample]) -> Iterator[SamplingResult]:
        try:
            for one in samples:
                yield SamplingResult(one.text, one.picks)
        except PromptSyntaxError as error:  # in a wildcard
            raise parse_exception(error) from error
        except UndefinedVariable as error:
            raise KeyError(str(error)) from error
