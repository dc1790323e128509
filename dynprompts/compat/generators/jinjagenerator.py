"""Jinja templates in jinja2's sandbox, with the functions of dynamicprompts; an optional extra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from random import Random
from typing import TYPE_CHECKING, Any

from ..constants import DEFAULT_RANDOM
from ..parser.config import ParserConfig, default_parser_config
from ..utils import squash_whitespace
from ..wildcards.wildcard_manager import WildcardManager
from .combinatorial import CombinatorialPromptGenerator
from .promptgenerator import GeneratorException, PromptGenerator
from .randomprompt import RandomPromptGenerator

if TYPE_CHECKING:
    from jinja2 import Environment, Template


class JinjaGenerator(PromptGenerator):
    """Renders jinja templates; `{% prompt %}` blocks, where there are any, are the prompts."""

    def __init__(
        self,
        wildcard_manager: WildcardManager | None = None,
        context: dict[str, Any] | None = None,
        parser_config: ParserConfig = default_parser_config,
        unlink_seed_from_prompt: bool = False,
        ignore_whitespace: bool = False,
        limit_prompts: bool = False,
    ) -> None:
        self._wildcards = wildcard_manager or WildcardManager()
        self._context = context or {}
        self._unlinked = unlink_seed_from_prompt
        self._squeezed, self._limited = ignore_whitespace, limit_prompts
        self._random = RandomPromptGenerator(
            self._wildcards, None, unlink_seed_from_prompt, ignore_whitespace, parser_config
        )
        self._all = CombinatorialPromptGenerator(self._wildcards, ignore_whitespace, parser_config)

    def generate(
        self,
        template: str,
        num_prompts: int = 1,
        *,
        seeds: Sequence[int] | int | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Render the template `num_prompts` times, each time with its own seed where given."""
        blocks: list[str] = []
        rendered = []
        for source in self._sources(num_prompts, seeds):
            made = self._template(template, source, blocks)
            rendered.append(self._render(made))
        prompts = blocks or rendered
        if self._limited:
            prompts = prompts[:num_prompts]
        return [squash_whitespace(one) for one in prompts] if self._squeezed else prompts

    def _sources(self, amount: int, seeds: Sequence[int] | int | None) -> list[Random]:
        if seeds is None or self._unlinked:
            return [DEFAULT_RANDOM] * amount
        several = [seeds] * amount if isinstance(seeds, int) else list(seeds)
        if len(several) == 1:
            several *= amount
        if len(several) != amount:
            raise ValueError(f"Expected {amount} seeds, but got {len(several)}")
        return [Random(seed) for seed in several]

    def _template(self, text: str, source: Random, blocks: list[str]) -> Template:
        try:
            from jinja2 import TemplateSyntaxError
        except ImportError as error:
            raise GeneratorException(
                "Jinja templates need jinja2, which is not installed. Install the extra: "
                "loraloom[jinja]."
            ) from error
        try:
            return self._environment(source, blocks).from_string(text)
        except TemplateSyntaxError as error:
            raise GeneratorException(f"{error.message} (line {error.lineno})") from error

    def _environment(self, source: Random, blocks: list[str]) -> Environment:
        from jinja2.sandbox import SandboxedEnvironment

        from .jinja_blocks import PromptBlocks

        environment = SandboxedEnvironment(extensions=[PromptBlocks])
        environment.globals.update(self._functions(source))
        environment.globals["_keep_prompt"] = blocks.append
        return environment

    def _functions(self, source: Random) -> dict[str, Callable[..., Any]]:
        def choice(*items: Any) -> Any:
            return source.choice(items)

        def weighted_choice(*items: tuple[Any, float]) -> Any:
            return source.choices([one for one, _ in items], [weight for _, weight in items])[0]

        def permuted(items: Sequence[Any], low: int, high: int | None = None) -> list[Any]:
            amounts = range(low, (low if high is None else high) + 1)
            return [one for amount in amounts for one in permutations(items, amount)]

        def wildcard(name: str) -> list[str]:
            return self._all.generate(self._wildcards.to_wildcard(name))

        def random_sample(template: str) -> str:
            return self._random.generate(template, 1, seeds=source.getrandbits(64))[0]

        def all_combinations(template: str) -> list[str]:
            return self._all.generate(template)

        return {
            "choice": choice,
            "weighted_choice": weighted_choice,
            "random": source.random,
            "randint": source.randint,
            "permutations": permuted,
            "wildcard": wildcard,
            "random_sample": random_sample,
            "all_combinations": all_combinations,
        }

    def _render(self, template: Template) -> str:
        from jinja2 import TemplateError

        try:
            return template.render(**self._context)
        except TemplateError as error:
            raise GeneratorException(str(error)) from error
        except (TypeError, ValueError, IndexError, OverflowError, ZeroDivisionError) as error:
            raise GeneratorException(f"the template cannot be rendered: {error}") from error
