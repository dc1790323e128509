"""Every sentence on the tab speaks of its buttons, boxes and fields."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_gradio_page import FakePage

from kohya_ext.cli.dispatch import COMMANDS as ROWS
from kohya_ext.gui import markup, screen_words
from kohya_ext.gui.fields import FIELDS, Section, numbered
from kohya_ext.gui.screen_words import on_screen
from kohya_ext.gui.widgets import lay_out

COMMANDS = tuple(row[1] for row in ROWS)
ROOT = Path(__file__).resolve().parents[2] / "kohya_ext"
NOT_ON_THE_TAB = ("cli.py", "server.py", "cluster.py", "host.py", "standalone.py")
"""What only a terminal starts: their options have no like on a screen."""
ROOMS = ("captions", "dataset", "project", "training", "gui")
RAISERS = re.compile(r"(Error|Missing|^error|^warning)$")
ONLY_IN_A_TERMINAL = (
    "json",
    "dry-run",
    "detach",
    "as-gui",
    "force-reinstall",
    "no-deps",
    "dir",
    "init",
    "machine",
    "main",
)
"""Options of words that the tab never shows, or of another program's command, up to a `_`."""


def text_of(node: ast.AST) -> str:
    """Return a literal text, with X for what is filled in."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(
            text_of(one) if isinstance(one, ast.Constant) else "X" for one in node.values
        )
    if isinstance(node, ast.BinOp):
        return text_of(node.left) + text_of(node.right)
    if isinstance(node, ast.IfExp):
        return f"{text_of(node.body)}\n{text_of(node.orelse)}"
    return ""


def sentences() -> Iterator[tuple[str, str]]:
    """Yield every literal of every error and finding that these rooms can raise."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if path.name in NOT_ON_THE_TAB:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call):
                    continue
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if RAISERS.search(name):
                    for one in (*node.args, *(key.value for key in node.keywords)):
                        yield from ((path.name, line) for line in text_of(one).split("\n") if line)


def test_no_cure_speaks_of_a_terminal():
    found = list(sentences())
    assert len(found) > 400
    wrong = []
    for name, sentence in found:
        said = on_screen(sentence)
        options = set(re.findall(r"(?<![\w-])--([a-z][a-z-]*)", said)) - set(ONLY_IN_A_TERMINAL)
        commands = re.findall(rf"loraloom (?:{'|'.join(COMMANDS)})\b", said)
        keys = re.findall(r"\b(?:captions|training|base_model|dataset|subject)\.[a-z_]+", said)
        if options or commands or keys or re.search(r"the manifest\b", said):
            wrong.append((name, sentence, said))
    assert wrong == []


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_is_left_in_a_sentence(name: str):
    for words in (f"{name} PROJECT", f"{name} '/my loras/fox'", f"{name} --from FILE", name):
        assert "loraloom " + name not in on_screen(f"Do it: loraloom {words}")
        assert "loraloom " + name not in on_screen(f"Use `loraloom {words}` first.")


def test_buttons_boxes_and_fields_named_are_there():
    page = FakePage()
    lay_out(page.module, "", [], with_sending=True)
    known = {str(one.options.get("label") or one.options.get("value")) for one in page.components}
    known |= {one.value for one in Section if f"## {numbered(one)}" in known}
    named = {*screen_words.COMMANDS.values(), *screen_words.OPTIONS.values()}
    named |= {f'the field "{one.label}"' for one in FIELDS}
    missing = {
        label
        for words in named
        for label in re.findall(r'"([^"]+)"', words)
        if label not in known and label != "GPU IDs"  # Kohya's own
    }
    assert missing == set()


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("Stage them first: loraloom stage my fox", 'Stage them first: the button "Stage"'),
        ("Run `loraloom stage` first.", 'Press the button "Stage" first.'),
        ("Give it: --model FOLDER, or captions.model in the manifest.",
         'Give it: the field "Tagger folder".'),
        ('Set each to Out on the board (key 0), or run: loraloom stage x --out "a b.png" --out '
         '"c.png". There is no switch.',
         "Set each to Out on the board (key 0). There is no switch."),
        ("/my loras/fox/lora-project.yaml has no base model.",
         "The project has no base model."),
        ("C:\\loras\\fox\\lora-project.yaml:4: training.seed: 1.5 is not a whole number.",
         'The project: the field "Seed": 1.5 is not a whole number.'),
        ("Set training.overrides.network_dim lower.",
         'Set the field "Network Rank (Dimension)" under "Change single values" lower.'),
        ("Follow it with `loraloom train --attach` or stop it with `loraloom train --stop`.",
         'Follow it with the button "Open project" or stop it with the button "Stop".'),
        ("Give one: loraloom trainer use FOLDER; or install sd-scripts: "
         "loraloom trainer install",
         'Give one: the field "Trainer folder" under "Train"'),
        ("For more epochs, add --weights FILE --epochs N; to train it again, add --move-old.",
         'For more epochs, fill in the field "Continue from this LoRA file" and the field "Max '
         'train epoch"; to train it again, tick the box "Move epoch files of an earlier training '
         'aside".'),
        ("It needs a WD14 tagger: give its folder with --model, or under captions.model in the "
         "manifest.", 'It needs a WD14 tagger: give its folder with the field "Tagger folder".'),
        ("Next: loraloom grid 'my fox'", f"Next: {screen_words.ELSEWHERE}"),
        ("model.safetensors is 4.5 GB; sd-scripts gets --config_file.",
         "model.safetensors is 4.5 GB; sd-scripts gets --config_file."),
    ],
)  # fmt: skip
def test_a_sentence_is_said_for_the_screen(sentence: str, said: str):
    assert on_screen(sentence) == said


def test_errors_and_lines_are_translated_where_they_are_shown():
    sentence = "Run `loraloom stage` first."
    for shown in (markup.problem(sentence), markup.remark(sentence)):
        assert "Press the button &quot;Stage&quot; first." in shown


def headings() -> Iterator[str]:
    """Yield what stands above the columns of the tab's tables."""
    for path in (ROOT / "gui").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "table":
                words = (one for argument in node.args[1:] for one in ast.walk(argument))
                yield from (one.value for one in words if isinstance(one, ast.Constant))


def test_no_table_is_headed_by_a_class():
    """A class that was given another name took the headings along: "QueueState" for "State"."""
    found = [*headings()]
    assert {"Pictures", "Epochs"} <= set(found)
    assert [one for one in found if re.search(r"[a-z][A-Z]", str(one))] == []
