"""How fast the language is, side by side with its ancestor in one run: CPU time, picks read.

    pip install -e '.[bench]'
    python -m pytest tests/bench/test_dynprompts_speed.py \\
        -m bench -s -o addopts=--import-mode=importlib
The table that is printed goes into docs/dynprompts.md.
"""

from __future__ import annotations

import gc
import logging
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dynprompts import Template, WildcardLibrary, parse
from dynprompts.scope import Rules
from dynprompts.tools.lint import lint_library

pytestmark = [
    pytest.mark.bench,
    pytest.mark.timeout(0),
    pytest.mark.filterwarnings("ignore"),  # the ancestor calls what pyparsing deprecates
]
ancestor = pytest.importorskip("dynamicprompts", reason="the bench extra is not installed")

SMALL = "a {red|green|blue} ball"
MEDIUM = (
    "{photo|painting} of a {small|big|2::huge} {cat|dog|{grey|white} bird}, {2$$ and $$red|green"
    "|blue|black} background, {golden hour|rim light|}, {3::|close-up,} looking {left|right|up"
    "|down}, {smiling|laughing|}"
)
DENSE = ", ".join(
    f"{MEDIUM} {{n{i}a|n{i}b|n{i}c}} {{deep {{inner{i}|other {{x{i}|y{i}}}}}|flat}}"
    for i in range(9)
)
DRESSES = (
    "halter|maxi|sheath|peplum|pencil|t-shirt|qipao|bell sleeve|long sleeve|empire waist|tulle"
    "|sweater|silk"
)
LARGE = ",\n".join(
    f"{{headshot|{{upper|half}}-body|close range}} of person {i}, focus on {{smiling|}} face,\n"
    "{from behind|side view|2::}\nwearing {\n  {conservative|victorian|cosplay} clothing\n"
    f"  | a {{{DRESSES}}} dress\n  | a tennis outfit <lora:tennis_outfit-1.0:0.8>\n"
    "  | a {jean|leather|feather|fur-lined} jacket\n  | a tshirt and jeans\n"
    "  | a {space|military} uniform\n  | a turtleneck\n  | leather armor\n  | a mage robe\n"
    "}, her {red|blue|silver|} hair is styled as {a bob|a braid|loose waves|a pixie cut}"
    for i in range(5)
)
"""As public showcase templates are written: long texts, some variants with many options."""

SHOWCASE = (
    "showcase:\n"
    "  - |\n"
    "    {headshot|{upper|half}-body|close range} of ${subject},\n"
    "    focus on {smiling|} face, {from behind|side view|2::}\n"
    "    wearing {\n"
    "      {plain|striped|formal} clothing\n"
    + "".join(f"      | a {{{'|'.join(f'cut{i}{j}' for j in range(9))}}} dress\n" for i in range(6))
    + "      | a <lora:my_dress_mini:0.8> {my_dress|dress}\n"
    "      | a {__cloth/style*__} coat\n"
    "    },\n"
    "    her {__colour/*__|} hair is __hair/*__,\n"
    "  - |\n"
    "    ${subject}, {smile,|grin,|3::} {jewelry,|} {__colour/*__|} hair, {grain|__light__|6::}\n"
)


def cpu(work: Callable[[], object], least: float = 0.25, rounds: int = 3) -> float:
    """Return the CPU seconds of one call, the best of some rounds."""
    work()
    calls, spent = 1, 0.0
    while True:
        began = time.process_time()
        for _ in range(calls):
            work()
        spent = time.process_time() - began
        if spent >= least / 5 or calls >= 1 << 20:
            break
        calls *= 4
    best = spent / calls
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(calls):
            work()
        best = min(best, (time.process_time() - began) / calls)
    return best


def once(work: Callable[[], object]) -> float:
    gc.collect()  # what the one before left behind is not this one's time
    began = time.process_time()
    work()
    return time.process_time() - began


def write_tree(root: Path) -> None:
    for name, content in {
        "show.yaml": SHOWCASE,
        "colour/plain.txt": "red\nblue\nsilver\nchestnut\n",
        "colour/mixed.txt": "pastel pink\ndark green\n",
        "hair/long.txt": "a ponytail\na braid\nwaves\n",
        "hair/short.txt": "a bob\na pixie cut\n",
        "cloth/style_a.txt": "floral\nstriped\n",
        "cloth/style_b.txt": "formal\nrustic\n",
        "light.txt": "golden hour\nneon light\n",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


class Old:
    """The ancestor, asked as its own extension asks it."""

    def __init__(self, root: Path | None = None) -> None:
        from dynamicprompts.generators import CombinatorialPromptGenerator, RandomPromptGenerator
        from dynamicprompts.parser.parse import parse as old_parse
        from dynamicprompts.wildcards import WildcardManager

        logging.getLogger("dynamicprompts").setLevel(logging.ERROR)
        self.parse = old_parse
        self.manager = WildcardManager(root)
        self.random = RandomPromptGenerator(wildcard_manager=self.manager)
        self.all = CombinatorialPromptGenerator(wildcard_manager=self.manager)

    def draw(self, text: str, seeds: list[int]) -> list[str]:
        return self.random.generate(text, len(seeds), seeds=seeds)


def drawn(template: Template, seeds: Any) -> int:
    picks = 0
    for sample in template.randoms(seeds):
        picks += len(sample.picks)
    return picks


ROWS: list[tuple[str, float, float | None, float]] = []


def report(name: str, ours: float, theirs: float | None, wanted: float) -> None:
    """`wanted` is a ratio, or seconds where there is no ancestor to compare with."""
    ROWS.append((name, ours, theirs, wanted))
    ratio = f"{theirs / ours:,.0f}x (>= {wanted:,.0f}x)" if theirs is not None else f"(<= {wanted})"
    print(f"{name:52} ours {ours * 1e3:12.4f} ms  ancestor "
          f"{'' if theirs is None else f'{theirs * 1e3:12.3f} ms'}  {ratio}")  # fmt: skip
    if theirs is not None:
        assert theirs / ours >= wanted
    else:
        assert ours <= wanted


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_parsing(size: str):
    text = {"small": SMALL, "medium": MEDIUM, "large": LARGE}[size]
    old = Old()
    theirs = cpu(lambda: old.parse(text))
    report(f"parse {size} ({len(text)} characters)", cpu(lambda: parse(text)), theirs, 150)


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_parsing_and_one_prompt(size: str):
    text = {"small": SMALL, "medium": MEDIUM, "large": LARGE}[size]
    old = Old()
    theirs = cpu(lambda: old.random.generate(text, 1, seeds=[3]))
    ours = cpu(lambda: parse(text).random(3).picks)
    report(f"parse and draw one prompt, {size}", ours, theirs, 80)


@pytest.mark.parametrize(
    ("size", "wanted"), [("small", 5), ("medium", 8), ("large", 25), ("dense", 15)]
)
def test_a_seed_per_prompt(size: str, wanted: float):
    text = {"small": SMALL, "medium": MEDIUM, "large": LARGE, "dense": DENSE}[size]
    many = {"small": 3000, "medium": 1500, "large": 600, "dense": 600}[size]
    seeds = list(range(many))
    old = Old()
    theirs = (cpu(lambda: old.draw(text, seeds)) - cpu(lambda: old.draw(text, [1]))) / (many - 1)
    template = parse(text)
    ours = cpu(lambda: drawn(template, seeds)) / many
    report(f"a seed per prompt, one call, {size}", ours, theirs, wanted)


def test_the_full_size_template(tmp_path: Path):
    write_tree(tmp_path)
    text = "{3::|realistic photo,} __showcase(subject=photo of Mira)__"
    old = Old(tmp_path)
    theirs = cpu(lambda: old.draw(text, list(range(10)))) / 10
    template = parse(text, WildcardLibrary(tmp_path))
    ours = cpu(lambda: drawn(template, range(1000))) / 1000
    report("full-size template with nested yaml, per prompt", ours, theirs, 1000)


def test_two_of_a_hundred_thousand(tmp_path: Path):
    lines = "\n".join(f"value number {i}" for i in range(100_000))
    (tmp_path / "w.txt").write_text(lines, encoding="utf-8")
    old = Old(tmp_path)
    theirs = once(lambda: old.draw("{2$$__w__}", [1, 2])) / 2
    template = parse("{2$$__w__}", WildcardLibrary(tmp_path))
    ours = cpu(lambda: drawn(template, range(1000))) / 1000
    report("{2$$__w__} on 100,000 lines, per prompt", ours, theirs, 1000)


def test_counting_and_sampling_a_billion():
    text = " ".join(["{0|1|2|3|4|5|6|7|8|9}"] * 9)
    old = Old()
    theirs = cpu(lambda: list(zip(range(1000), old.all.generate(text, 1000), strict=False)))
    ours = cpu(lambda: (parse(text).count(), list(parse(text).combinations(1000))))
    print(f"(the ancestor's first 1,000 alone: {theirs * 1e3:.1f} ms; it cannot count)")
    report("exact count and first 1,000 of 10^9", ours, None, 0.010)
    report("1,000 uniform samples of 10^9", cpu(lambda: parse(text).sample(1000)), None, 0.005)


def test_a_million_lines(tmp_path: Path):
    path = tmp_path / "w.txt"
    path.write_text(
        "\n".join(f"value number {i * 7919 % 1000003}" for i in range(1_000_000)), encoding="utf-8"
    )

    def first() -> object:
        return parse("a __w__", WildcardLibrary(tmp_path)).random(1).picks

    def theirs_first() -> object:
        return Old(tmp_path).draw("a __w__", [1])

    ours, theirs = once(first), once(theirs_first)
    report("1,000,000 lines, first open to first draw", ours, theirs, 2)
    report("the same, unchanged, second open to first draw", once(first), None, 0.050)


def test_a_tree_of_a_thousand_files(tmp_path: Path):
    for number in range(1000):
        folder = tmp_path / f"d{number // 50}"
        folder.mkdir(exist_ok=True)
        (folder / f"f{number}.txt").write_text("a\nb\nc\n", encoding="utf-8")
    ours = cpu(lambda: WildcardLibrary(tmp_path).names, least=0.05)
    report("a tree of 1,000 files opened", ours, None, 0.100)
    drawn_once = cpu(lambda: parse("__d3/f151__", WildcardLibrary(tmp_path)).random(1), least=0.05)
    report("a tree of 1,000 files opened, one drawn from", drawn_once, None, 0.100)


def import_seconds(module: str) -> float:
    """Return the CPU seconds that an import takes a new process, the start of Python left out."""
    path = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r});"

    def spent(program: str) -> float:
        times = []
        for _ in range(9):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", path + program], check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        return min(times)

    return spent(f"import {module}") - spent("")


def test_importing():
    theirs = import_seconds("dynamicprompts.generators, dynamicprompts.wildcards")
    report("import", import_seconds("dynprompts"), theirs, 1.3)


def write_collection(root: Path, names: int) -> None:
    """Write wildcards of which each names several others, in one yaml file."""
    lines = []
    for number in range(names):
        lines.append(f"n{number}:")
        below = [number * 7919 // step % max(1, number) for step in (2, 3, 5)]
        lines.append(f"  - '{{a{number}|b}} hair, (bright:1.2), number {number}'")
        plain = range(3 if number % 4 else 0)
        lines += [f"  - plain value {number} {step}" for step in plain]
        lines += [
            f"  - '2::with __n{one}__, {{x|{{y|z}}}} __n{one // 2}__'"
            for one in below[: number % 3]
        ]
    (root / "all.yaml").write_text("\n".join(lines), encoding="utf-8")


def test_a_collection_of_eight_thousand_names(tmp_path: Path):
    write_collection(tmp_path, 8_400)
    library = WildcardLibrary(tmp_path)
    report("8,400 names opened", once(lambda: library.names), None, 2)
    report("the same, linted", once(lambda: lint_library(Rules(library))), None, 4)
    template = parse("__n40__ {2$$__n*__}", library)
    report("the same, everything in reach", once(template.reach), None, 2)
    report("the same, counted up to 2 levels", once(lambda: template.count(2)), None, 2)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"(the whole process has used up to {used:.0f} MB)")


def test_thirty_levels_of_two():
    texts = {f"a{n}.txt": f"x __a{n - 1}__\ny __a{n - 1}__\n" for n in range(1, 31)}
    template = parse("__a30__", WildcardLibrary(texts={**texts, "a0.txt": "1\n2\n"}))
    report("30 levels of two, in reach", once(template.reach), None, 0.1)
    report("30 levels of two, counted", once(template.count), None, 0.1)


def test_linting_a_million_lines(tmp_path: Path):
    lines = (
        f"value {{red|blue}} __gone{n % 5}__ {n}" if n % 10 == 0 else f"value {n}, (red:1.2)"
        for n in range(1_000_000)
    )
    (tmp_path / "w.txt").write_text("\n".join(lines), encoding="utf-8")
    library = WildcardLibrary(tmp_path)
    report("1,000,000 lines linted", once(lambda: lint_library(Rules(library))), None, 10)
