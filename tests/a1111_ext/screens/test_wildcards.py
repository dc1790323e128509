"""The page of wildcards: search, preview, edit with lint, save only inside the folders."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from chromium import open_page

from a1111_ext.screens.wildcards import PAGE_NAME, WildcardShare, open_file, save_file
from kohya_ext.cli import main
from kohya_ext.project import ConflictError, InputError, RuleError, apply_init, plan_init
from kohya_ext.project.server import OWN_PAGE, PageRequest, PageServer


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "wildcards"
    (folder / "creatures").mkdir(parents=True)
    (folder / "creatures" / "kin.txt").write_text("quillfox\nmosshen\n", encoding="utf-8")
    (folder / "light.yaml").write_text("light:\n  - dawn\n  - dusk\n", encoding="utf-8")
    return folder


def _asked(share: WildcardShare, path: str, **data: Any) -> Any:
    body = json.dumps(data).encode()
    return json.loads(share.answer(PageRequest(path, {}, body, "application/json")).body)


def test_names_are_found_by_words_with_their_files(root: Path):
    share = WildcardShare(lambda: (root,))
    found = _asked(share, "names", words="KIN creat")
    assert found == {"names": [["creatures/kin", "creatures/kin.txt"]], "total": 1}
    assert _asked(share, "names", words="")["total"] == 2
    assert _asked(share, "names", words="nothing")["total"] == 0


def test_draws_are_those_of_their_seeds(root: Path):
    share = WildcardShare(lambda: (root,))
    first = _asked(share, "draw", template="a __creatures/kin__", seed=7)["prompts"]
    assert [seed for seed, _ in first] == list(range(7, 15))
    assert {text for _, text in first} == {"a quillfox", "a mosshen"}
    later = _asked(share, "draw", template="a __creatures/kin__", seed=8)["prompts"]
    assert later[:-1] == first[1:]
    assert _asked(share, "draw", template="a {red|blue", seed=1)["problem"]


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [("x.txt", "fine\n{red|blue\n", "x.txt:2"), ("x.yaml", "x:\n  - ok\n  - __ligth__\n", ":3")],
)
def test_lint_names_the_line_of_a_slip(root: Path, file: str, text: str, line: str):
    found = _asked(WildcardShare(lambda: (root,)), "lint", file=file, text=text)["findings"]
    assert line in found[0][1]
    fine = _asked(WildcardShare(lambda: (root,)), "lint", file="x.txt", text="a __light__\n")
    assert fine == {"findings": []}


def test_a_file_that_is_no_yaml_is_reported(root: Path):
    found = _asked(WildcardShare(lambda: (root,)), "lint", file="x.yaml", text="a: [1\n")
    assert "x.yaml" in found["findings"][0][1]


def test_a_saved_file_is_drawn_from_at_once(root: Path):
    share = WildcardShare(lambda: (root,))
    assert _asked(share, "names", words="tail")["total"] == 0
    _asked(share, "save", file="parts/tail.txt", text="bushy\n", stamp="")
    assert _asked(share, "names", words="tail")["total"] == 1
    assert _asked(share, "draw", template="__parts/tail__", seed=0)["prompts"][0] == [0, "bushy"]


def test_line_ends_and_the_mark_of_a_file_stay(root: Path):
    path = root / "dos.txt"
    path.write_bytes(b"\xef\xbb\xbfred\r\nblue\r\n")
    opened = open_file((root,), "dos.txt")
    assert opened["text"] == "red\nblue\n"
    save_file((root,), "dos.txt", "red\ngreen\n", opened["stamp"])
    assert path.read_bytes() == b"\xef\xbb\xbfred\r\ngreen\r\n"


def test_a_file_that_changed_meanwhile_is_not_overwritten(root: Path):
    stamp = open_file((root,), "creatures/kin.txt")["stamp"]
    (root / "creatures" / "kin.txt").write_text("other\n", encoding="utf-8")
    for known in (stamp, ""):
        with pytest.raises(ConflictError):
            save_file((root,), "creatures/kin.txt", "mine\n", known)
    assert (root / "creatures" / "kin.txt").read_text(encoding="utf-8") == "other\n"


DEVICES = [
    pytest.param(one, marks=pytest.mark.skipif(os.name != "nt", reason="names of Windows"))
    for one in ("con.txt", "a?.txt", "set ./x.txt")
]


@pytest.mark.parametrize(
    "file",
    [
        *("../x.txt", "a/../../x.txt", "/x.txt", "C:/x.txt", "a\\..\\x.txt"),
        *("", ".x.txt", "x.py", "x", *DEVICES),
    ],
)
def test_names_that_are_not_inside_are_refused(root: Path, file: str):
    for action in (lambda: open_file((root,), file), lambda: save_file((root,), file, "x", "")):
        with pytest.raises(InputError):
            action()
    assert not (root.parent / "x.txt").exists()


def test_a_text_that_is_not_utf_8_is_not_opened(root: Path):
    (root / "old.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(InputError):
        open_file((root,), "old.txt")


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_links_that_lead_out_are_refused(root: Path):
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "x.txt").write_text("theirs\n", encoding="utf-8")
    (root / "folder").symlink_to(outside)
    (root / "x.txt").symlink_to(outside / "x.txt")
    (root / "dangling.txt").symlink_to(outside / "new.txt")
    for file in ("folder/x.txt", "folder/new.txt", "x.txt", "dangling.txt"):
        with pytest.raises(RuleError):
            open_file((root,), file)
        with pytest.raises(RuleError):
            save_file((root,), file, "mine\n", "")
    assert [one.name for one in outside.iterdir()] == ["x.txt"]
    assert (outside / "x.txt").read_text(encoding="utf-8") == "theirs\n"


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_links_are_followed_for_draws_where_asked(root: Path):
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "far.txt").write_text("theirs\n", encoding="utf-8")
    (root / "folder").symlink_to(outside)
    followed = [False]
    share = WildcardShare(lambda: (root,), lambda: followed[0])
    assert _asked(share, "names", words="far")["total"] == 0
    followed[0] = True
    assert _asked(share, "names", words="far")["total"] == 1
    drawn = _asked(share, "draw", template="__folder/far__", seed=0)
    assert drawn["prompts"][0] == [0, "theirs"]
    with pytest.raises(RuleError):
        _asked(share, "open", file="folder/far.txt")


def test_slips_of_a_previewed_template_are_reported(root: Path):
    share = WildcardShare(lambda: (root,))
    drawn = _asked(share, "draw", template="a {red, blue} __ligth__", seed=0)
    assert [severity for severity, _ in drawn["hints"]] == ["warning", "error"]
    assert "Did you mean __light__?" in drawn["hints"][1][1]
    assert _asked(share, "draw", template="a {red|blue}", seed=0)["hints"] == []


def test_the_command_takes_folders_and_projects(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["wildcards", str(root), "--no-serve"]) == 0
    assert capsys.readouterr().out.startswith(f"2 wildcards in {root}")
    made = apply_init(plan_init(tmp_path / "fox", "Quillfox"))
    assert main(["wildcards", str(made.root), "--no-serve"]) == 1
    assert "LL161" in capsys.readouterr().err
    (made.root / "wildcards").mkdir()
    assert main(["wildcards", str(made.root), "--no-serve"]) == 0
    assert capsys.readouterr().out.startswith("0 wildcards")


def test_the_command_serves_its_page(root: Path, monkeypatch: pytest.MonkeyPatch):
    served = []
    monkeypatch.setattr(
        "a1111_ext.cli.wildcards.serve_until_interrupted", lambda *given: served.append(given)
    )
    assert main(["wildcards", str(root), "--follow-links"]) == 0
    ((share, path),) = served
    assert (path, share.roots(), share.follow_links()) == (PAGE_NAME, (root,), True)


def test_only_json_is_taken_and_the_page_runs_only_its_own_files(root: Path):
    share = WildcardShare(lambda: (root,))
    with pytest.raises(ValueError, match="application/json"):
        share.answer(PageRequest("save", {}, b"{}", "text/plain"))
    with pytest.raises(ValueError, match="seed"):
        _asked(share, "draw", template="a", seed=-1)
    assert share.answer(PageRequest(PAGE_NAME)).policy == OWN_PAGE
    assert share.answer(PageRequest("../wildcards.py")).status == 404


@pytest.mark.browser
def test_a_person_searches_draws_edits_and_saves(root: Path):
    with PageServer() as server:
        url = server.url_of(WildcardShare(lambda: (root,)), PAGE_NAME)
        with open_page(url, width=1440) as page:
            page.fill("#search", "kin")
            page.wait_for_selector('#count:text-is("1 name")')
            page.click("#names button")
            page.wait_for_selector('#said:has-text("kin.txt is open")')
            assert page.input_value("#text") == "quillfox\nmosshen\n"
            assert page.locator("#draws li").count() == 8
            page.fill("#template", "a {red, blue} __creatures/kin__")
            page.click("#draw")
            page.wait_for_selector('#hints li:has-text("one option")')
            page.fill("#text", "quillfox\n{grey|white hen\n")
            page.wait_for_selector("#findings li.error")
            _keep_shots(page)
            page.fill("#text", "quillfox\n{grey|white} hen\n")
            page.wait_for_selector("#findings:not(:has(li))", state="attached")
            page.click("#save")
            page.wait_for_selector('#said:has-text("is saved")')
            page.set_viewport_size({"width": 390, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
    saved = (root / "creatures" / "kin.txt").read_text(encoding="utf-8")
    assert saved == "quillfox\n{grey|white} hen\n"


def _keep_shots(page: Any) -> None:
    folder = os.environ.get("LORALOOM_SHOTS")
    for width in (390, 1440) if folder else ():
        page.set_viewport_size({"width": width, "height": 900})
        page.screenshot(path=str(Path(folder or "") / f"wildcards-{width}.png"), full_page=True)
