"""Wildcard files: encodings, weights, places, roots and links, changes on disk."""

from __future__ import annotations

import logging
import os
import sys
import tracemalloc
from pathlib import Path

import pytest

from dynprompts import WildcardLibrary, lint_text, parse
from dynprompts.scope import Rules
from dynprompts.tools.lint import lint_library


def texts(library: WildcardLibrary, name: str) -> list[str]:
    return [value.text for value in library.values(name)]


def given(**files: str | bytes) -> WildcardLibrary:
    return WildcardLibrary(texts={name.replace("__", "."): text for name, text in files.items()})


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("\ufeffbom\nlast".encode(), ["bom", "last"]),
        ("café\nok\n".encode("cp1252"), ["café", "ok"]),
        ("u16\nz\n".encode("utf-16"), ["u16", "z"]),
        (b"one\r\ntwo\rthree", ["one", "three", "two"]),
        ("a\u2028b\nc".encode(), ["a\u2028b", "c"]),
        (b"# only\n\n   \n", []),
    ],
)
def test_encodings(content: bytes, wanted: list[str]):
    assert texts(given(w__txt=content), "w") == wanted


def test_a_wrong_encoding_is_logged(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        texts(given(w__txt="ok\ncafé".encode("latin-1")), "w")
    assert "w.txt:2: the file is not UTF-8 and is read as windows-1252" in caplog.text


def test_weights_in_txt_are_asked_for():
    files = {"w.txt": "3::red\nblue\n  0.5::a {2::b|c}\n1::2::x\n# no\n\n4::\n"}
    plain = WildcardLibrary(texts=files)
    assert "3::red" in texts(plain, "w")
    weighed = WildcardLibrary(texts=files, weights_in_txt=True)
    found = {value.text: value.weight for value in weighed.values("w")}
    assert found == {"red": 3, "blue": 1, "a {2::b|c}": 0.5, "1::2::x": 1}


def test_order_and_repeats_are_kept_when_asked():
    files = {"w.txt": "b\na\nb\n", "y.yaml": "y: [b, a, b]\n"}
    for name in ("w", "y"):
        assert texts(WildcardLibrary(texts=files), name) == ["a", "b"]
        assert texts(WildcardLibrary(texts=files, sort=False), name) == ["b", "a"]
        assert texts(WildcardLibrary(texts=files, dedup=False), name) == ["a", "b", "b"]
        kept = WildcardLibrary(texts=files, sort=False, dedup=False)
        assert texts(kept, name) == ["b", "a", "b"]
    assert texts(WildcardLibrary(texts=files, sort=False, dedup=False), "?") == list("babbab")


YAML = """\
a: &list [x, '2::y', 5, null, [z], {text: t, weight: 3}, {content: c}, {text: u, weight: no}]
b:
  c: *list
  d/e: one
  '': [under]
1: [number]
[p, q]: [list key]
f: 7
a2: ['']
"<<": [quoted]
base: &base {m: [n]}
merged: {<<: *base, m: [own]}
merged2:
  <<: [*base, *base]
tagged: !!str 5
block:
  - |

    first {a|b
    second
  - >
    folded {
"""


def test_yaml_in_all_its_forms(caplog: pytest.LogCaptureFixture):
    library = given(f__yaml=YAML)
    weights = {value.text: value.weight for value in library.values("a")}
    assert weights == {"x": 1, "y": 2, "t": 3, "c": 1}
    assert texts(library, "b/c") == texts(library, "a")
    assert texts(library, "b/d/e") == ["one"]
    assert texts(library, "b") == ["under"]
    assert texts(library, "a2") == []
    assert texts(library, "<<") == ["quoted"]
    assert texts(library, "merged/m") == ["own"]
    assert texts(library, "merged2/m") == ["n"]
    assert texts(library, "tagged") == ["5"]
    assert "the key 1 is not text" in caplog.text
    assert "the key a list or mapping is not text" in caplog.text
    assert '"f" has no values (7)' in caplog.text


def test_errors_in_yaml_have_their_line_and_column():
    with pytest.raises(Exception, match=r"f\.yaml:19:11: this \"\{\" is never closed"):
        parse("__block__", given(f__yaml=YAML)).count()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("f.yaml", "a: [x", "f.yaml:"),
        ("f.yaml", "a: [x]\n---\nb: [y]\n", "several documents"),
        ("f.yaml", "a: *nothing\n", "the alias *nothing has no anchor"),
        ("f.yaml", "just text", "contains no lists"),
        ("f.yaml", "a:\n\t- x\n", "f.yaml:2:1"),
        ("f.json", '{"a": [}', "f.json:1:8"),
        ("f.json", "[" * 100_000, "nested too deeply"),
        ("f.yaml", "a: " + "{a: " * 200 + "[x]" + "}" * 200, "nested more than 100 deep"),
    ],
)
def test_broken_files_are_left_out(
    name: str, content: str, said: str, caplog: pytest.LogCaptureFixture
):
    library = WildcardLibrary(texts={name: content, "ok.txt": "fine"})
    assert library.names == ("ok",)
    assert said in caplog.text


def test_aliases_that_multiply_are_refused(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("dynprompts.files.MOST_VALUES", 5000)
    lines = ["a0: &a0 {x: [v]}"]
    lines += [f"a{n}: &a{n} {{p: *a{n - 1}, q: *a{n - 1}}}" for n in range(1, 40)]
    library = given(bomb__yaml="\n".join(lines))
    assert library.names == ()
    assert "more than 5000 values" in caplog.text


@pytest.mark.parametrize(
    "files",
    [
        {"a.yaml": "a: ['" + "9" * 400 + "::x', y]"},
        {"a.yaml": "a: [{text: x, weight: " + "9" * 400 + "}, y]"},
        {"a.txt": "9" * 400 + "::x\ny\n"},
    ],
    ids=["text", "mapping", "txt"],
)
def test_weights_beyond_measure_are_no_weights(files: dict[str, str]):
    library = WildcardLibrary(texts=files, weights_in_txt=True)
    assert {value.weight for value in library.values("a")} == {1.0}
    assert parse("__a__", library).random(1).text


def test_a_list_is_read_as_a_text_file():
    files = {"f.json": '["one", "3::two"]', "d/g.yaml": "- 2::a\n- {text: b, weight: 3}\n"}
    plain = WildcardLibrary(texts=files)
    assert texts(plain, "f") == ["3::two", "one"]
    assert [(one.text, one.weight) for one in plain.values("d/g")] == [("2::a", 1), ("b", 3)]
    weighed = WildcardLibrary(texts=files, weights_in_txt=True)
    assert [(one.text, one.weight) for one in weighed.values("f")] == [("one", 1), ("two", 3)]
    assert [(one.text, one.weight) for one in weighed.values("d/g")] == [("a", 2), ("b", 3)]


def test_json_keeps_order_and_places():
    content = '{"a": ["x", {"text": "w {", "weight": 3}, 5, null],\n "b": {"c": ["q"]}, "a": ["z"]}'
    library = given(f__json=content)
    assert texts(library, "a") == ["z"]
    assert library.values("b/c")[0].where == "f.json:2"
    assert texts(given(f__json='["one", "two"]'), "f") == ["one", "two"]
    assert texts(given(e__yaml=""), "e") == []


def test_names_and_globs():
    library = given(
        **{"a/b/c__txt": "1", "a/b__txt": "2", "x/c__txt": "3", ".hid/n__txt": "4", "s__TXT": "5"}
    )
    assert library.names == ("a/b", "a/b/c", "s", "x/c")
    assert library.matching("c") == ("a/b/c", "x/c")
    assert library.matching("a/*") == ("a/b", "a/b/c")
    assert library.matching("/a//b/") == ("a/b",)
    assert library.matching("a\\b") == ("a/b",)
    assert library.matching("../a/b") == ()
    assert library.matching("[!a]*") == ("s", "x/c")
    assert library.matching("[z-a]") == ()
    assert library.matching("") == ()
    assert library.values("nothing") == ()


def test_other_files_and_hidden_ones_are_left_alone(tmp_path: Path):
    for name in ("w.txt", "note.md", ".hidden.txt", "d/f.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("k: [v]", encoding="utf-8")
    library = WildcardLibrary(tmp_path)
    assert texts(library, "w") == ["k: [v]"]
    assert library.names == ("d/k", "w")


def test_weights_before_deep_brackets():
    deep = "{" * 12 + "a::b" + "}" * 12
    found = texts(given(f__yaml=f"a: ['2::{deep}', '2::{{x::y|{{z::q}}}}']"), "a")
    assert set(found) == {deep, "{x::y|{z::q}}"}


def test_a_later_root_counts(tmp_path: Path):
    for root, text in (("one", "a"), ("two", "b")):
        (tmp_path / root).mkdir()
        (tmp_path / root / "w.txt").write_text(text, encoding="utf-8")
    library = WildcardLibrary(tmp_path / "one", str(tmp_path / "two"))
    assert texts(library, "w") == ["b"]
    assert library.givers("w") == ("w.txt", "w.txt")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_linked_folder_is_reported_and_followed_on_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    root, other = tmp_path / "wildcards", tmp_path / "elsewhere" / "coll"
    other.mkdir(parents=True)
    root.mkdir()
    (other / "x.txt").write_text("linked\n", encoding="utf-8")
    (other / "back").symlink_to(root, target_is_directory=True)
    (root / "coll").symlink_to(other, target_is_directory=True)
    (root / "one.txt").symlink_to(other / "x.txt")
    closed = WildcardLibrary(root)
    assert closed.names == ()
    assert [(one.code, one.where) for one in closed.problems()] == [
        ("DP231", "one.txt"), ("DP231", "coll"),
    ]  # fmt: skip
    assert [one.code for one in lint_library(Rules(closed))] == ["DP231", "DP231"]
    (missing,) = lint_text("__coll/x__", closed)
    assert missing.hint == '"coll" is a link that is not followed; --follow-links reads it.'
    assert parse("__one__ __coll/x__", closed).random(1).text == "__one__ __coll/x__"
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["one.txt", "coll"]
    assert closed.link_of("collection") == ""
    followed = WildcardLibrary(root, follow_links=True)
    assert followed.names == ("coll/x", "one")
    assert parse("__coll/x__", followed).random(1).text == "linked"
    assert followed.problems() == ()


def test_places_in_json_of_one_line():
    library = WildcardLibrary(texts={"a.json": '{"k": ["one", "two"],\n "l": ["three"]}'})
    assert [one.where for one in library.values("k")] == ["a.json:1", "a.json:1"]
    found = library.collection("l")
    assert found is not None
    assert found.origin(0)[1:3] == (2, 9)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_links_stay_inside_and_do_not_turn_in_circles(tmp_path: Path):
    root = tmp_path / "root"
    (root / "in").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "secret.txt").write_text("secret", encoding="utf-8")
    (root / "in" / "w.txt").write_text("w", encoding="utf-8")
    (root / "in" / "loop").symlink_to(root, target_is_directory=True)
    (root / "same").symlink_to(root / "in", target_is_directory=True)
    (root / "out").symlink_to(tmp_path / "out", target_is_directory=True)
    (root / "secret.txt").symlink_to(tmp_path / "out" / "secret.txt")
    (root / "w2.txt").symlink_to(root / "in" / "w.txt")
    (root / "broken.txt").symlink_to(root / "nowhere.txt")
    library = WildcardLibrary(root)
    assert library.names == ("broken", "in/w", "same/w", "w2")
    assert texts(library, "broken") == []


def test_changes_are_seen_without_reading_again(tmp_path: Path):
    path = tmp_path / "w.txt"
    path.write_text("a", encoding="utf-8")
    (tmp_path / "y.yaml").write_text("y: [1a]", encoding="utf-8")
    (tmp_path / "unread.txt").write_text("u", encoding="utf-8")
    library = WildcardLibrary(tmp_path)
    assert not library.refresh()
    template = parse("__w__", library)
    assert template.random(1).text == "a"
    assert texts(library, "y") == ["1a"]
    assert not library.refresh()
    path.write_text("bb", encoding="utf-8")
    assert library.refresh()
    assert template.random(1).text == "bb"
    (tmp_path / "new.txt").write_text("n", encoding="utf-8")
    os.utime(tmp_path, ns=(1, 1))
    assert library.refresh()
    assert texts(library, "new") == ["n"]
    texts(library, "w")
    path.unlink()
    os.utime(tmp_path, ns=(library_time(library, tmp_path),) * 2)
    assert library.refresh()
    (tmp_path / "y.yaml").unlink()
    (tmp_path / "new.txt").unlink()
    (tmp_path / "unread.txt").unlink()
    tmp_path.rmdir()
    assert library.refresh()
    assert library.names == ()
    assert not library.refresh()


def library_time(library: WildcardLibrary, folder: Path) -> int:
    """What the library remembers of a folder, so that only the file's absence tells."""
    return library._folders[str(folder)]


def test_a_large_file_is_read_once(tmp_path: Path):
    path = tmp_path / "w.txt"
    path.write_text("\n".join(f"  line {number:07}" for number in range(120_000)), encoding="utf-8")
    first = parse("__w__", WildcardLibrary(tmp_path)).random(1)
    second = WildcardLibrary(tmp_path)
    assert parse("__w__", second).random(1) == first
    assert not second.refresh()
    pick = first.picks[0]
    assert pick.where == f"w.txt:{int(pick.option.split()[1]) + 1}"
    for number in range(6):
        other = tmp_path / f"o{number}"
        other.mkdir()
        (other / "w.txt").write_text("x" * (1 << 20), encoding="utf-8")
        assert len(texts(WildcardLibrary(other), "w")) == 1


def test_memory_is_taken_for_what_a_file_holds(tmp_path: Path):
    (tmp_path / "colour.txt").write_text("red\n", encoding="utf-8")
    library = WildcardLibrary(tmp_path)
    tracemalloc.start()
    try:
        assert texts(library, "colour") == ["red"]
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_a_file_that_cannot_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "w.txt"
    path.write_text("a", encoding="utf-8")
    library = WildcardLibrary(tmp_path, tmp_path / "nowhere")
    path.unlink()
    path.mkdir()
    assert texts(library, "w") == []
    assert "the file cannot be read" in caplog.text
