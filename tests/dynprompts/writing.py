"""Templates at random: for property tests and for the fuzz run."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from dynprompts import WildcardLibrary

LIBRARY = WildcardLibrary(
    texts={
        "colour.txt": "red\nblue\n{pale|dark} green\n",
        "plain.txt": "x\ny\n",
        "nested.yaml": "deep:\n  one: ['2::__plain__', 'b', '0.5::{p|q}']\n  two: [__colour__]\n",
        "asks.txt": "${v:none} here\n${v:nothing}\n",
        "sets.txt": "${v={1|2}}${v} and ${v}\nq\n",
        "loop.txt": "__loop__ again\nend\n",
    }
)

WORDS = st.sampled_from(
    ["a", "bb", " ", ", ", "photo of ", "(x:1.2)", "[a:b:0.5]", "$5", "50%", "a_b", "\n", "é"]
)
NAMES = st.sampled_from(["v", "w", "name-1"])
PATHS = st.sampled_from(["colour", "plain", "deep/one", "deep/*", "asks", "sets", "missing"])


def variants(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    weight = st.sampled_from(["", "", "", "2::", "0.5::"])
    option = st.builds(lambda heavy, text: heavy + text, weight, inner)
    options = st.lists(option, min_size=1, max_size=3).map("|".join)
    head = st.sampled_from(["", "", "", "2$$", "1-2$$", "0-1$$ and $$", "2-$$", "-2$$/$$"])
    return st.builds(lambda start, body: "{" + start + body + "}", head, options)


def wildcards(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    plain = PATHS.map(lambda path: f"__{path}__")
    filled = st.builds(lambda text: f"__asks(v={text})__", inner.filter(lambda t: "=" not in t))
    several = PATHS.map(lambda path: "{2$$__" + path + "__}")
    return plain | filled | several


def pieces() -> st.SearchStrategy[str]:
    """What may stand inside of brackets."""
    gets = NAMES.map(lambda name: "${" + name + ":d}")
    return st.recursive(
        WORDS | gets,
        lambda inner: (
            variants(inner)
            | wildcards(inner)
            | st.builds(lambda a, b: f"%{{{a} ... $${b}}}", inner, inner)
            | st.lists(inner, min_size=1, max_size=3).map("".join)
        ),
        max_leaves=8,
    )


def assignments() -> st.SearchStrategy[str]:
    sign = st.sampled_from(["=", "=!", "?=", "?=!"])
    value = pieces().filter(lambda text: "|" not in text or "{" in text)
    return st.builds(lambda name, how, text: f"${{{name}{how}{text}}}", NAMES, sign, value)


def templates() -> st.SearchStrategy[str]:
    """Whole templates, all of the language."""
    return st.builds(
        lambda front, body: "".join(front) + body,
        st.lists(assignments(), max_size=2),
        st.lists(pieces(), min_size=1, max_size=3).map("".join),
    )


SEEDS = (
    "a {red|green|2::blue} ball",
    "{2$$ and $$a|b|c}, {1-2$$__colour__}",
    "${x={a|b}}${y=!{1|2}}${x} ${y} ${z:none}",
    "%{a ... b$${c|d}} __asks(v=photo of {x|y}, (red hair:1.2))__",
    "<lora:my__lora:0.8> [a:b:0.5] $5 100% # note\nBREAK {@a|b} {~c|d} {!e|f}",
    "__deep/{one|two}__ __@plain__ \\{ \\| // x\n{/* c */a|3::|b}",
    "{a|{b|{c|{d|e}}}} __sets__ __loop__ ${v?=q}",
)
MARKS = (
    "{", "}", "|", "$$", "${", "%{", "__", "(", ")", ",", "=", "=!", "?=", ":", "::", "2$$", "1-",
    "!", "@", "~", "#", "\\", "\n", "\t", " ", "//", "/*", "*/", "...", "<lora:", ">", "[", "]",
    "0", "9", ".5::", "-", "é", "\0", "\ud800", "colour", "*", "..", "/",
)  # fmt: skip


def mutated(rng: random.Random) -> str:
    """Return one of the seeds after some cuts, copies and insertions."""
    text = rng.choice(SEEDS)
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(0, len(text))
        way = rng.randrange(5)
        if way == 0:
            text = text[:at] + rng.choice(MARKS) + text[at:]
        elif way == 1:
            text = text[:at] + text[at + rng.randint(1, 8) :]
        elif way == 2:
            other = rng.choice(SEEDS)
            start = rng.randint(0, len(other))
            text = text[:at] + other[start : start + rng.randint(1, 30)] + text[at:]
        elif way == 3:
            text = text[:at] + text[at : at + rng.randint(1, 10)] * rng.randint(2, 4) + text[at:]
        else:
            text = text[:at] + rng.choice(MARKS) * rng.randint(1, 5) + text[at:]
    return text
