"""`python -m dynprompts` and `loraloom prompts`."""

from __future__ import annotations

import io
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from dynprompts.tools.cli import main


@pytest.fixture
def wildcards(tmp_path: Path) -> str:
    (tmp_path / "hair.txt").write_text("red\nblue\n", encoding="utf-8")
    return str(tmp_path)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(words)
    out, err = capsys.readouterr()
    return code, out, err


def test_prompts_of_consecutive_seeds(capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "a {b|c}", "--seed", "4", "--number", "3")
    assert code == 0
    assert len(out.splitlines()) == 3
    assert out.splitlines()[1] == run(capsys, "a {b|c}", "--seed", "5")[1].strip()


def test_picks_are_shown(capsys: pytest.CaptureFixture[str], wildcards: str):
    code, out, _ = run(capsys, "${x={a}}${x} __hair__", "-w", wildcards, "--picks")
    assert code == 0
    assert out.splitlines()[1] == "    x = a"
    assert "(hair.txt:" in out


def test_everything_counted_and_listed(capsys: pytest.CaptureFixture[str]):
    assert run(capsys, "{a|b}{c|d}", "--count")[1] == "4\n"
    assert json.loads(run(capsys, "{a|b}", "--count", "--json")[1]) == {"count": "2"}
    assert run(capsys, "{a|b}{c|d}", "--combinations")[1].split() == ["ac", "ad", "bc", "bd"]
    assert run(capsys, "{a|b}{c|d}", "--combinations", "2", "--start", "1")[1].split() == [
        "ad", "bc",
    ]  # fmt: skip
    assert sorted(run(capsys, "{a|b}", "--sample", "5")[1].split()) == ["a", "b"]
    assert run(capsys, "{a|b}", "--cyclical", "--number", "3")[1].split() == ["a", "b", "a"]


def test_a_count_of_many_digits(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """Python itself makes no text of a number of more than 4,300."""
    (tmp_path / "digit.txt").write_text("\n".join("0123456789"), encoding="utf-8")
    found = run(capsys, "__digit__" * 5000, "-w", str(tmp_path), "--count")[1]
    assert found.strip() == "1" + "0" * 5000


def test_a_cycle_is_counted_to_a_depth(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    (tmp_path / "loop.txt").write_text("a\nb __loop__\n", encoding="utf-8")
    words = ("__loop__", "-w", str(tmp_path))
    code, _, err = run(capsys, *words, "--count")
    assert (code, "leads back to itself" in err) == (1, True)
    assert run(capsys, *words, "--count", "--depth", "3")[1] == "3\n"
    assert sorted(run(capsys, *words, "--sample", "9", "--depth", "2")[1].split("\n")) == [
        "", "a", "b a",
    ]  # fmt: skip


def test_a_file_of_prompts_is_read_line_by_line(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    path = tmp_path / "prompts.txt"
    path.write_text("a {b}\n# note\n{c|d} e\n", encoding="utf-8")
    assert run(capsys, f"@{path}", "--lines")[1].split("\n")[0] == "a b"
    assert run(capsys, f"@{path}", "--lines", "--count")[1] == "1\n2\n"
    assert run(capsys, "{a|b", "--lines")[0] == 1
    assert run(capsys, "{a|b}{a|b}", "--no-repeats", "--number", "20")[1].split() != []
    found = run(capsys, "{a|b}{a|b}", "--no-repeats", "--number", "20")[1].split()
    assert set(found) == {"ab", "ba"}
    found = run(capsys, "{a|b}{a|b}", "--no-repeats", "{a|b}", "--number", "20")[1].split()
    assert set(found) == {"ab", "ba"}


def test_json_lines(capsys: pytest.CaptureFixture[str]):
    _, out, _ = run(capsys, "{a|b}", "--number", "2", "--json", "--picks")
    first = json.loads(out.splitlines()[0])
    assert first["seed"] == 0
    assert first["picks"][0]["variant"] == "{a|b}"
    _, out, _ = run(capsys, "{a|b}", "--combinations", "--json")
    assert [json.loads(line) for line in out.splitlines()] == [
        {"prompt": "a", "number": 0}, {"prompt": "b", "number": 1},
    ]  # fmt: skip


def test_balance_and_coverage(capsys: pytest.CaptureFixture[str]):
    words = ("${x={a|b}}${x}", "--balance", "x", "--number", "4", "--coverage")
    _, out, _ = run(capsys, *words)
    assert "x: drawn 4 times" in out
    assert out.count("2 of 2.0 expected") == 2
    _, out, _ = run(capsys, *words, "--json")
    assert json.loads(out.splitlines()[-1])["choices"][0]["options"][0]["drawn"] == 2


def test_reach_is_listed(capsys: pytest.CaptureFixture[str], wildcards: str):
    words = ("<lora:{a|b}:1> __hair__ __no__ ${u}", "-w", wildcards, "--reach")
    _, out, _ = run(capsys, *words)
    assert "tag        <lora:a:1>  (template:1:1)" in out
    assert "missing    no" in out
    values = json.loads(run(capsys, *words, "--json")[1])
    assert values["loras"] == ["a", "b"]
    assert [one["name"] for one in values["undefined"]] == ["u"]


def test_lint_has_an_exit_code(capsys: pytest.CaptureFixture[str], wildcards: str):
    assert run(capsys, "__hair__", "-w", wildcards, "--lint") == (0, "", "0 errors, 0 warnings\n")
    code, out, _ = run(capsys, "__no__", "-w", wildcards, "--lint")
    said = 'template:1:1: error: the wildcard "no" is not there [DP201]\n  __no__\n  ^^^^^^\n'
    assert (code, out) == (1, said)
    assert run(capsys, "{0::a|b}", "--lint")[0] == 0
    assert run(capsys, "{0::a|b}", "--lint", "--strict")[0] == 1
    code, out, _ = run(capsys, "{a|b", "--lint", "--json")
    assert code == 1
    assert json.loads(out)[0]["code"] == "DP101"
    assert run(capsys, "--lint", "-w", wildcards)[0] == 0


def test_variables_and_files(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert run(capsys, "${x} a", "--set", "x=1")[1] == "1 a\n"
    path = tmp_path / "t.txt"
    path.write_text("from\n a file", encoding="utf-8")
    assert run(capsys, f"@{path}", "--squeeze")[1] == "from a file\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO("from stdin"))
    assert run(capsys, "-")[1] == "from stdin\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "a template is expected"),
        (("--lint",), 2, "a template is expected"),
        (("a", "--number", "-1"), 2, "not between 0 and"),
        (("a", "--number", "x"), 2, "invalid"),
        (("a", "--set", "x"), 2, 'NAME=VALUE, but got "x"'),
        (("a", "--set", "=x"), 2, 'NAME=VALUE, but got "=x"'),
        (("${n=x}{${n}$$a|b}",), 1, "DP124"),
        (("a", "-w", "nowhere-at-all"), 2, 'folder "nowhere-at-all" is not there'),
        (("{a|b",), 1, "DP101"),
        (("${x}",), 1, "DP121"),
        (("__no__", "--strict"), 1, "DP120"),
        (("@nowhere-at-all.txt",), 1, "nowhere-at-all.txt"),
        (("a", "--count", "--reach"), 2, "not allowed"),
    ],
)
def test_what_goes_wrong_is_said(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str
):
    got, out, err = run(capsys, *words)
    assert (got, out) == (code, "")
    assert said in err


def test_help_explains_itself(capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert "--combinations" in out


def test_it_runs_as_a_module(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["dynprompts", "{a}", "--count"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("dynprompts", run_name="__main__")
    assert (stopped.value.code, capsys.readouterr().out) == (0, "1\n")


def test_it_runs_under_loraloom(capsys: pytest.CaptureFixture[str]):
    from kohya_ext.cli import main as loraloom

    assert loraloom(["prompts", "{a}", "--count"]) == 0
    assert capsys.readouterr().out == "1\n"
    assert loraloom(["prompts", "{a"]) == 1
    assert loraloom(["prompts", "--help"]) == 0
    assert "loraloom prompts" in capsys.readouterr().out


def test_importing_costs_little():
    """No module that a light import would not need; the time itself is for tests/bench."""
    root = str(Path(__file__).parents[3])
    program = (
        f"import sys; sys.path.insert(0, {root!r}); import dynprompts; print(*sorted(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    loaded = set(result.stdout.split())
    heavy = {"yaml", "json", "dataclasses", "inspect", "logging", "pathlib", "argparse", "hashlib"}
    assert not heavy & loaded
    assert not {"kohya_ext", "a1111_ext", "click", "rich"} & loaded


def test_no_escape_sequence_reaches_the_terminal(capsys, tmp_path: Path):
    (tmp_path / "hair.txt").write_text("red\x1b[2J\u202e\n", encoding="utf-8")
    code, out, _ = run(capsys, "__hair__", "-w", str(tmp_path))
    assert (code, out) == (0, "red\\u001b[2J\\u202e\n")
    shown = run(capsys, "__hair__", "-w", str(tmp_path), "--json")[1]
    assert json.loads(shown)["prompt"] == "red\x1b[2J\u202e"


def test_a_template_that_is_not_utf8_is_named(capsys, tmp_path: Path):
    (tmp_path / "template.txt").write_bytes("{a|b}".encode("utf-16"))
    code, _, said = run(capsys, f"@{tmp_path / 'template.txt'}")
    assert code == 1
    assert "template.txt cannot be read: it is not UTF-8 text (byte 0). [DP204]" in said
