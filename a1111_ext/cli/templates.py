"""`loraloom templates`: the starter sets, shown, or written into the WebUI's styles.csv."""

from __future__ import annotations

from pathlib import Path

import click

from kohya_ext.project import InputError
from kohya_ext.project.cli import (
    RelatedOption,
    TypedPath,
    emit,
    emit_json,
    json_option,
    next_step,
    say,
)
from kohya_ext.project.shell import (
    shell_path,
)

from ..showcase.starters import read_starters, require_starter
from ..showcase.styles import write_style


@click.command()
@click.argument("name", default="")
@click.option(
    "--styles",
    type=TypedPath(dir_okay=False),
    help="Write the set NAME into this styles.csv; other styles are kept.",
)
@click.option(
    "--style-name",
    cls=RelatedOption,
    needs="--styles",
    default="",
    help='Name of the style; default: "showcase NAME".',
)
@click.option(
    "--replace",
    cls=RelatedOption,
    needs="--styles",
    is_flag=True,
    help="Replace a style of that name.",
)
@json_option
def templates(
    name: str, styles: Path | None, style_name: str, replace: bool, as_json: bool
) -> None:
    """List the starter sets of templates, show the one called NAME, or write it as a style.

    A project without showcase.template uses the set of its subject's kind. As a style, the set
    needs Dynamic Prompts in the WebUI; write LoRA tag and trigger word into the prompt.
    """
    if not name and styles is not None:
        raise InputError(
            "LL674",
            "No starter set is given.",
            "Choose one: loraloom templates person --styles FILE",
        )
    chosen = (require_starter(name),) if name else read_starters()
    if as_json:
        kinds = {one.name: [kind.value for kind in one.kinds] for one in chosen}
        emit_json([{**vars(one), "kinds": kinds[one.name]} for one in chosen])
    elif not name:
        for one in chosen:
            emit(f"{one.name}: {one.title} ({', '.join(kind.value for kind in one.kinds)})")
    elif styles is None:
        emit(chosen[0].template)
        emit(f"Negative prompt: {chosen[0].negative_prompt}")
    if styles is None:
        next_step("loraloom showcase PROJECT" if name else "loraloom templates person")
        return
    style = chosen[0].style(style_name)
    write_style(styles, style, replace=replace)
    say(f'{shell_path(styles)} has the style "{style.name}"; reload the styles in the WebUI')
    next_step(
        f'loraloom showcase PROJECT --style "{style.name}" --styles-file {shell_path(styles)}'
    )
