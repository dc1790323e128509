"""Slips in captions are found, each with its pictures."""

from __future__ import annotations

import pytest
from PIL import Image

from kohya_ext.captions.lint import LintRules, lint_captions, lint_project
from kohya_ext.cli import main
from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.project import Project, open_project
from kohya_ext.project.tagging import Scores, tag_key, write_scores

RULES = LintRules("Quillfox", "photo of Quillfox")
Capture = pytest.CaptureFixture[str]


def found(text: str, rules: LintRules = RULES, **more: str) -> dict[str, str]:
    return {one.code: one.problem for one in lint_captions({"a.png": text, **more}, rules)}


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("photo of Quillfox, solo", []),
        ("photo of quillfox, solo", []),
        ("solo, sky", ["LL211"]),
        ("photo of Quilfox, solo", ["LL212"]),
        ("photo of Quill fox, solo", ["LL212"]),
        ("photo of Quillfox, Quillfox, solo", ["LL213"]),
        ("photo of Quillfox, quillfox fur", ["LL213"]),
        ("photo of Quillfox\nsolo", ["LL214"]),
        ("photo of Quillfox, solo\n\n", []),
        ("photo of Quillfox, solo, sky, Solo", ["LL215"]),
        ("photo of Quillfox, blue_eyes, blue eyes", ["LL215"]),
        ("photo of {Trigger}, solo", ["LL218", "LL211"]),
        ("photo of Quillfox, {lora}", ["LL218"]),
        ("photo of Quillfoxes, solo", ["LL212"]),
    ],
)
def test_slips_are_found(text: str, codes: list[str]):
    assert list(found(text)) == codes


@pytest.mark.parametrize(
    ("tag", "example", "words"),
    [
        ("(red fur:1.3)", "(red fur:1.3)", "not as a weight"),
        ("( red fur :.8 )", "( red fur :.8 )", "not as a weight"),
        ("(red fur, smile:1.2)", "(red fur, smile:1.2)", "not as a weight"),
        ("((red fur))", "((red fur))", "not as a weight"),
        ("(red fur)", "(red fur)", "not as a weight"),
        ("(fox (animal):1.1)", "(fox (animal):1.1)", "not as a weight"),
        ("a (small fox:0.9) asleep", "(small fox:0.9)", "not as a weight"),
        ("[red fur]", "[red fur]", "not as a weight"),
        (r"fox \(animal\)", r"\(animal\)", "with its backslashes"),
        (r"fox_\(animal\)", r"\(animal\)", "with its backslashes"),
        ("<lora:Fox-v1:0.8>", "<lora:Fox-v1:0.8>", "loads no LoRA"),
        ("<LYCO:fox:1:1>", "<LYCO:fox:1:1>", "loads no LoRA"),
        ("sky BREAK snow", "BREAK", "divides nothing"),
        ("[red|blue] fur", "[red|blue]", "changes nothing"),
        ("[red:blue:0.5] fur", "[red:blue:0.5]", "changes nothing"),
        ("{red|blue} fur", "{red|blue}", "is drawn from in prompts only"),
        ("{2$$red|blue|{pale|dark} green} fur", "{pale|dark}", "is drawn from in prompts only"),
        ("__colors__ fur", "__colors__", "is filled in prompts only"),
        ("__animals/fox-*__", "__animals/fox-*__", "is filled in prompts only"),
    ],
)
def test_prompt_language_in_a_caption(tag: str, example: str, words: str):
    text = f"photo of Quillfox, solo, {tag}"
    said = found(text, b="photo of Quillfox, solo", c=f"{tag}, Quillfox, outdoors")
    assert said["LL223"].startswith(f'"{example}" ')
    assert words in said["LL223"]
    assert said["LL223"].endswith(": a.png, c.")


@pytest.mark.parametrize(
    "tag",
    [
        *(
            "fox (animal)",
            "fox_(animal)",
            "2b_(nier:automata)",
            "saber_(fate/stay_night)_(cosplay)",
        ),
        *(":(", ">:(", "(o)_(o)", ":)", "^_^", "|_|", ":|", "[]", "{}", "__", "^__^", "@__@", "<3"),
        *("aspect ratio (16:9)", "a fox (with red fur) sits", "re:zero", "break", "Breakfast"),
        *("ice break", r"\o/", r"\m/", r"\||/", "o_o", "<o>_<o>", "1girl", "a < b", "lora: fox"),
        *("fox (animal), (o)_(o), fox (cosplay)", "a [sic] sign", "snake__case", "x: (a) b: 3"),
    ],
)
def test_tags_with_signs_in_their_names_are_none(tag: str):
    for text in (f"photo of Quillfox, {tag}", f"{tag}, Quillfox", f"Quillfox, {tag}, solo"):
        assert "LL223" not in found(text)


@pytest.mark.parametrize("tag", ["(red fur)", "[fox]", "__fox__", "{a|b}", "(fox:3)", "BREAK"])
def test_a_tag_of_the_vocabulary_is_none(tag: str):
    known = LintRules("Quillfox", "photo of Quillfox", known_tags={tag_key(tag), "fur"})
    assert "LL223" not in found(f"photo of Quillfox, {tag}, fur", known)
    assert "LL223" in found(f"photo of Quillfox, ({tag} fur:1.2), {tag}", known)


def test_each_kind_is_told_once_with_its_pictures():
    texts = {f"{n}.png": "Quillfox, (red fur:1.3), <lora:Fox:1>" for n in range(5)}
    said = [one.problem for one in lint_captions(texts, RULES) if one.code == "LL223"]
    assert [one.split('"')[1] for one in said] == ["(red fur:1.3)", "<lora:Fox:1>"]
    assert all(one.endswith(": 0.png, 1.png, 2.png and 2 more.") for one in said)


def test_a_trigger_of_two_words():
    rules = LintRules("Mira Fern", "photo of Mira Fern")
    assert list(found("photo of mira_fern, solo", rules)) == []
    assert list(found("photo of Mira Ferm, solo", rules)) == ["LL212"]
    assert list(found("photo of Mira, solo", rules)) == ["LL211"]


def test_tags_in_one_picture_only():
    many = {f"{n}.png": "photo of Quillfox, solo, freckles" for n in range(10)}
    rules = LintRules("Quillfox", "photo of Quillfox", known_tags={"solo", "freckles", "sky"})
    said = found("photo of Quillfox, solo, frekles, sky", rules, **many)["LL216"]
    assert "2 tags are in only one picture: frekles, sky" in said
    assert '"frekles" may mean "freckles"' in said


def test_an_undesired_tag_that_matches_nothing():
    known = {"freckles", "long hair", "sky"}
    rules = LintRules(undesired=("frekles", "*hair", "sky"), known_tags=known)
    (slip,) = lint_captions({"a.png": "solo"}, rules)
    assert (slip.code, '"frekles"' in slip.problem) == ("LL217", True)
    assert 'Did you mean "freckles"?' in slip.cure


def test_undesired_tags_that_stand_in_captions():
    rules = LintRules(undesired=("*hair",), known_tags={"long hair"})
    assert "long hair (a.png)" in found("solo, long_hair", rules)["LL219"]


def test_the_prefix_is_no_undesired_tag():
    rules = LintRules(prefix="photo of Quillfox", undesired=("*",), known_tags={"solo"})
    assert "LL219" not in found("photo of Quillfox", rules)


def test_no_captions_no_slips():
    assert lint_captions({}, RULES) == ()


@pytest.fixture
def staged(project: Project) -> Project:
    folder = project.source_dir / "primary"
    folder.mkdir(parents=True)
    for name in ("a", "b"):
        Image.new("RGB", (640, 640), (len(name), 3, 9)).save(folder / f"{name}.png")
    apply_layout(project, plan_layout(project))
    scores = Scores("0" * 64, "m", {}, {"freckles": 0.9}, {})
    write_scores(project.scores_dir, scores)
    return project


def test_check_says_the_slips(staged: Project, capsys: Capture):
    from kohya_ext.simulator.base_model import write_base_model

    base = write_base_model(staged.root / "base.safetensors")
    text = staged.manifest_path.read_text("utf-8").replace("path: ''", f"path: '{base}'", 1)
    text = text.replace("undesired_tags: []", "undesired_tags: [frekles]")
    staged.manifest_path.write_text(text, "utf-8")
    folder = next(staged.images_dir.iterdir())
    for folder in (one for one in staged.images_dir.iterdir() if one.is_dir()):
        (folder / "a.txt").write_text("photo of Quillfox, solo, solo", "utf-8")
        (folder / "b.txt").write_text("photo of Quilfox\nsecond line", "utf-8")
    assert main(["check", str(staged.root), "--trainer", "simulated"]) == 0
    out = capsys.readouterr().out
    assert {code for code in ("LL212", "LL214", "LL215", "LL217") if code in out} == {
        "LL212", "LL214", "LL215", "LL217",
    }  # fmt: skip
    assert '"quilfox" probably means the trigger word "Quillfox": b.png' in out


def test_rules_that_cannot_be_read_are_left_to_others(staged: Project):
    text = staged.manifest_path.read_text("utf-8")
    text = text.replace("undesired_tags: []", "undesired_tags_file: gone.txt")
    staged.manifest_path.write_text(text, "utf-8")
    assert lint_project(open_project(staged.root), {"a.png": "x"}) == ()
