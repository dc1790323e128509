from __future__ import annotations

import pytest

from kohya_ext.project.placeholders import fill_placeholders


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{lora} photo of {trigger}", "<lora:quillfox:1> photo of Quillfox"),
        ("{red|{trigger}} {lora}", "{red|Quillfox} <lora:quillfox:1>"),
        ("${lora} ${trigger}", "${lora} ${trigger}"),
        ("{Trigger} { lora }", "{Trigger} { lora }"),
    ],
    ids=["both", "inside a variant", "variables are left", "spelled otherwise"],
)
def test_placeholders_are_filled(text: str, filled: str) -> None:
    found = fill_placeholders(text, trigger_word="Quillfox", lora="<lora:quillfox:1>")
    assert found == filled


def test_filled_text_is_not_filled_again() -> None:
    assert fill_placeholders("{lora}", trigger_word="Q", lora="<lora:{trigger}:1>") == (
        "<lora:{trigger}:1>"
    )


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{lora} photo of {trigger}", "photo of Quillfox"),
        ("blurry, {lora}, text", "blurry, text"),
        ("{lora}", ""),
    ],
)
def test_no_lora_leaves_no_word_lora(text: str, filled: str) -> None:
    assert fill_placeholders(text, trigger_word="Quillfox", lora="") == filled
