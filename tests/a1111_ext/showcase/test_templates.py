"""Templates draw the same prompts again, reach is read off texts, framing off picks and words."""

from __future__ import annotations

from pathlib import Path

import pytest

from a1111_ext.grids.expansion import open_library
from a1111_ext.showcase.framing import framing_in, framing_of
from a1111_ext.showcase.reach import find_reach
from a1111_ext.showcase.styles import Style
from a1111_ext.showcase.templates import (
    ShowcaseSubject,
    ShowcaseTemplate,
    TemplateText,
    plain_checkpoint,
    text_seed,
)
from dynprompts import Pick, WildcardLibrary, parse
from kohya_ext.project import ToolError
from kohya_ext.project.content import forbidden_words

SUBJECT = ShowcaseSubject("quillfox-v1", 0.8, "Quillfox")

SCENES = """\
scenes:
  - |
    {portrait|{upper|whole} body|close range} of ${subject},
    with {calm|} eyes,
    {from behind|side view|2::}
    wearing {
      {woven|knitted|1.5::quilted} scarf
      | a <lora:winter_coat__mini:0.7> {winter_coat|wintercoat}
      | a lantern <lora:lantern-1.0:0.6>
      | a {__patterns/*__} cloak
    },
    in a {__places/wild*__|} clearing, its {__tints/*__|} quills raised,
  - |
    ${subject}, seen close up,
    {asleep,|smiling,|2::}
    {vignette|soft focus|__lights/lights__|3::}
"""
FILES = {
    "scenes.yaml": SCENES.replace("scenes:", "sets:").encode(),
    "patterns/stripes.txt": b"striped\nchecked\n",
    "patterns/more.txt": b"# plain ones\nplain\n",
    "places/wild_a.txt": b"mossy\n",
    "places/wild_b.txt": b"snowy\nrocky\n",
    "tints/pale.txt": b"pale blue\n",
    "lights/lights.txt": b"dawn\ndusk\n",
}
STYLE = Style("sets", "{3::|painted,} __sets(subject=photo of {prompt})__", "blurry (text:1.3)")


def library() -> WildcardLibrary:
    return WildcardLibrary(texts=FILES)


def styled() -> ShowcaseTemplate:
    return ShowcaseTemplate(TemplateText("style", "", "").styled(STYLE), SUBJECT, library())


def test_a_full_size_template_works_whole():
    """Nested variants, weights, globs, a style, and LoRA names with two underscores."""
    template = styled()
    drawn = [template.draw(seed)[0].text for seed in range(300)]
    assert all("<lora:quillfox-v1:0.8> Quillfox" in prompt for prompt in drawn)
    assert any("<lora:winter_coat__mini:0.7>" in prompt for prompt in drawn)
    assert any("checked cloak" in prompt for prompt in drawn)
    assert any("soft focus" in prompt for prompt in drawn)
    assert not [prompt for prompt in drawn if set("{}|\n") & set(prompt) or "__sets" in prompt]
    assert template.draw(1)[1] == "blurry (text:1.3)"


def test_everything_that_can_be_reached_is_found():
    reach = styled().reach
    assert {one.name for one in reach.loras} == {
        "quillfox-v1",
        "winter_coat__mini",
        "lantern-1.0",
    }
    assert {one.name for one in reach.wildcards} == {
        "sets",
        "patterns/*",
        "places/wild*",
        "tints/*",
        "lights/lights",
    }
    assert reach.missing == ()


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("a __nowhere/x__ fox", ["nowhere/x"]),
        ("__sets(subject=__gone__)__", ["gone"]),
        ("__~patterns/*__ __@absent__", ["absent"]),
        ("__${where:places}/nothing_here__", ["places/nothing_here"]),
        ("{a|__deep__}", ["deep"]),
        ("<lora:a__b:1> and ____", []),
        ("two __ marks", []),
    ],
)
def test_missing_wildcards_are_found(text: str, missing: list[str]):
    assert [one.name for one in find_reach([parse(text, library())]).missing] == missing


def test_reach_says_where_a_lora_stands():
    files = {"coats.txt": b"none\na <lora:coat:1> coat\n", "loop.txt": b"__loop__\n"}
    text = "<lora:hat:1> __coats__ __loop__"
    reach = find_reach([parse(text, WildcardLibrary(texts=files))], "the manifest")
    assert [(one.name, one.where) for one in reach.loras] == [
        ("hat", "the manifest, 1:1"),
        ("coat", "coats.txt:2"),
    ]


def test_loras_that_are_put_together_are_found():
    reach = find_reach([parse("<lora:{a|b}:1> <lora:c:{0.5|1}>", library())])
    assert [one.name for one in reach.loras] == ["a", "b", "c"]


def test_wildcard_files_know_the_subject():
    files = {"ways.txt": b"${lora} a drawing of ${trigger}\n"}
    template = ShowcaseTemplate(
        TemplateText("t", "__ways__"), SUBJECT, WildcardLibrary(texts=files)
    )
    assert template.draw(1)[0].text == "<lora:quillfox-v1:0.8> a drawing of Quillfox"


def test_the_same_seed_draws_the_same_prompt():
    assert styled().draw(7)[0].text == styled().draw(7)[0].text


def test_unlinked_seeds_differ_by_checkpoint():
    linked = [text_seed(5, name, unlinked=False) for name in ("a", "b")]
    unlinked = [text_seed(5, name, unlinked=True) for name in ("a", "b")]
    assert linked == [5, 5]
    assert len({*unlinked, 5}) == 3
    assert unlinked[0] == text_seed(5, "a.safetensors [6ee29fced1]", unlinked=True)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("a.safetensors [12ab]", "a"),
        ("folder/a.ckpt", "a"),
        ("folder\\a.safetensors", "a"),
        ("a.b", "a.b"),
        ("", ""),
    ],
)
def test_checkpoints_have_one_plain_name(word: str, name: str):
    assert plain_checkpoint(word) == name


@pytest.mark.parametrize("text", ["{a|b", "${nothing} {lora}", "__gone__ {lora}"])
def test_templates_that_cannot_be_expanded(text: str):
    with pytest.raises(ToolError, match=r"(?s)\(t, prompt\).*LL613"):
        ShowcaseTemplate(TemplateText("t", text), SUBJECT).draw(1)
    with pytest.raises(ToolError, match=r"(?s)\(t, negative prompt\).*LL613"):
        ShowcaseTemplate(TemplateText("t", "{lora}", text), SUBJECT).draw(1)


def test_a_missing_wildcard_folder_is_named(tmp_path: Path):
    with pytest.raises(ToolError, match="LL103"):
        open_library(tmp_path / "nowhere")
    assert open_library(None).names == ()


@pytest.mark.parametrize(
    ("picks", "prompt", "framing"),
    [
        ([Pick("framing", " Full body, ")], "portrait of x", "full body"),
        ([Pick("camera/framing", "bird's eye")], "portrait", "bird's eye"),
        ([Pick("framing", "")], "a half-body of x", "upper body"),
        ([Pick("{framing|x}", "framing")], "x", ""),
        ([], "close range of <lora:portrait:1> x", "close-up"),
        ([], "x seen from behind, whole body", "from behind"),
        ([], "an <lora:full body:1> landscape", ""),
    ],
)
def test_framing_comes_from_picks_and_words(picks: list[Pick], prompt: str, framing: str):
    assert framing_of(picks, prompt) == framing


def test_framing_has_one_word_for_its_spellings():
    assert {framing_in(text) for text in ("headshot of", "head shot", "a portrait")} == {"headshot"}


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("a nude child", ("child", "nude")),
        ("lingerie, 16 years old", ("16 years old", "lingerie")),
        ("schoolgirl_uniform, nsfw", ("schoolgirl", "nsfw")),
        ("young_girl, topless", ("young girl", "topless")),
        ("a nude adult, 18 years old", None),
        ("baby blue dress, bikini", None),
        ("a child with a kite", None),
        ("childlike wonder, sexy", None),
        ("a child wearing nothing", ("child", "wearing nothing")),
        ("a teenager in underwear", ("teenager", "underwear")),
    ],
)
def test_forbidden_words_stand_together(prompt: str, found: tuple[str, str] | None):
    assert forbidden_words(prompt) == found
