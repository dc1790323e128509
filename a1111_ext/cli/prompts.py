"""`loraloom prompts`: the prompt language's own command line."""

from __future__ import annotations

import click


@click.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    help="Draw prompts from a template, count, list or check what it can become.",
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def prompts(words: tuple[str, ...]) -> int:
    """Hand everything to the language's own command."""
    from dynprompts.tools.cli import main

    return main(words, "loraloom prompts")
