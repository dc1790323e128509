"""The jinja tag `{% prompt %}` ... `{% endprompt %}`; imported where jinja2 is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2.ext import Extension
from jinja2.nodes import CallBlock
from jinja2.parser import Parser


class PromptBlocks(Extension):
    """Hands each block's text to the generator."""

    tags = {"prompt"}  # noqa: RUF012  # as jinja2 declares it

    def parse(self, parser: Parser) -> CallBlock:
        """prompt = "{% prompt %}" template "{% endprompt %}" """
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endprompt",), drop_needle=True)
        node = CallBlock(self.call_method("_keep"), [], [], body)
        node.set_lineno(line)
        return node

    def _keep(self, caller: Callable[[], str]) -> Any:
        text = caller()
        self.environment.globals["_keep_prompt"](text)  # type: ignore[operator]  # a function
        return text
