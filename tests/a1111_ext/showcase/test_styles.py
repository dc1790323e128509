"""Styles are read from the WebUI's own file and put round a prompt as it does it."""

from __future__ import annotations

from pathlib import Path

import pytest

from a1111_ext.showcase.styles import Style, read_styles, require_style
from kohya_ext.project import ToolError

TEXT = (
    "name,prompt,negative_prompt\n"
    'show,"{3::|realistic,} __composite/show(subject=photo of {prompt})__",blurry text\n'
    "soft,soft light,\n"
)


def styles_file(tmp_path: Path, text: str = TEXT, encoding: str = "utf-8") -> Path:
    path = tmp_path / "styles.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_a_style_goes_round_the_prompt(tmp_path: Path):
    style = require_style(styles_file(tmp_path), "show")
    prompt, negative = style.apply("a fox", "")
    assert prompt == "{3::|realistic,} __composite/show(subject=photo of a fox)__"
    assert negative == "blurry text"


@pytest.mark.parametrize(
    ("style", "prompt", "result"),
    [
        ("soft light", "a fox", "a fox, soft light"),
        ("", "a fox", "a fox"),
        ("soft light", "", "soft light"),
        ("{prompt} and {prompt}", "a fox", "a fox and a fox"),
    ],
)
def test_styles_apply_as_in_the_webui(style: str, prompt: str, result: str):
    assert Style("s", style, style).apply(prompt, prompt) == (result, result)


def test_old_files_and_byte_order_marks(tmp_path: Path):
    path = styles_file(tmp_path, "name,text\nold,soft light\n", "utf-8-sig")
    assert read_styles(path) == (Style("old", "soft light", ""),)


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("name,prompt\na,b\n", "showcase", "It has a"),
        ("name,prompt\nshowcase1,b\n", "showcase", 'Did you mean "showcase1"'),
        ("title,words\na,b\n", "a", "no column prompt"),
        ("name,prompt\n\udcff,b\n", "a", "cannot be read"),
    ],
)
def test_unusable_styles_are_named(tmp_path: Path, text: str, name: str, words: str):
    path = tmp_path / "styles.csv"
    path.write_bytes(text.encode("utf-8", errors="surrogateescape"))
    with pytest.raises(ToolError, match="LL611") as caught:
        require_style(path, name)
    assert words in str(caught.value)


def test_a_missing_styles_file_is_named(tmp_path: Path):
    with pytest.raises(ToolError, match="LL611"):
        require_style(tmp_path / "styles.csv", "a")


def test_rows_are_read_as_the_webui_reads_them(tmp_path: Path):
    text = (
        "name,prompt,negative_prompt\n"
        'Ink, "ink drawing, {prompt}, fine lines", "photo, 3d"\n'
        "Ink2,a,b\n"
        '"Two lines","first\nsecond",\n'
        "#note,x,y\n"
        "Ink2,later one,c\n"
        "Short\n"
        "\n"
    )
    assert read_styles(styles_file(tmp_path, text)) == (
        Style("Ink", "ink drawing, {prompt}, fine lines", "photo, 3d"),
        Style("Ink2", "later one", "c"),
        Style("Two lines", "first\nsecond", ""),
        Style("Short", "", ""),
    )


def test_a_name_with_spaces_behind_it_is_found(tmp_path: Path):
    path = styles_file(tmp_path, "name,prompt,negative_prompt\nInk ,a,\n")
    assert [one.name for one in read_styles(path)] == ["Ink "]
    assert require_style(path, "Ink").prompt == require_style(path, "Ink ").prompt == "a"


def test_several_files_are_read_by_a_pattern(tmp_path: Path):
    for name, word in (("styles.csv", "first"), ("styles_more.csv", "second")):
        text = f"name,prompt,negative_prompt\nshared,{word},\n{word},x,\n"
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = {one.name: one.prompt for one in read_styles(tmp_path / "styles*.csv")}
    assert found == {"shared": "second", "first": "x", "second": "x"}
    with pytest.raises(ToolError, match=r"There is no styles file other\*.csv.*LL611"):
        read_styles(tmp_path / "other*.csv")
