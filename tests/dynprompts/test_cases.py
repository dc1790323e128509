"""Our own cases for what the ancestor's tests cover, each as it must be."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from dynprompts import ParserConfig, PromptError, WildcardLibrary, parse

FILES = {
    "cold.txt": "ice\nsnow\n",
    "warm.txt": "sand\nsun\n",
    "both.txt": "__warm__\n__cold__\n",
    "shoes/winter/boot.txt": "fur boot\n",
    "shoes/summer/boot.txt": "canvas boot\n",
    "makes.yaml": (
        "makes:\n  fast: {kind: [racing car], name: [Zum]}\n  slow: {kind: [cart], name: [Oxo]}\n"
    ),
    "greet.txt": "${who:someone} waves, ${how:kindly}\n",
    "frames.txt": "in oil, ..., on canvas\nas a woodcut of ...\n",
    "heavy.yaml": "metals: ['5::lead', '2.5::tin', {text: foil, weight: 0.5}]\n",
    "pets.yaml": "pets:\n  small: [mouse, newt]\n  big: [horse]\n  odd: __pets/small__\n",
    "list.json": '["one", "two"]',
    "drink/cup.txt": "__drink/${season:summer}/what__\n",
    "drink/summer/what.txt": "cold ${fruit:lime} water\n",
    "drink/winter/what.txt": "hot ${fruit:plum} wine\n",
    "prefix.txt": "no mark\n",
}
LIBRARY = WildcardLibrary(texts=FILES)

LISTS = [
    ("plain words", ["plain words"]),
    ("snake_case and kebab-case", ["snake_case and kebab-case"]),
    ("(soft:0.8) [hard] ((very hard))", ["(soft:0.8) [hard] ((very hard))"]),
    ("one } too many", ["one } too many"]),
    ("[day:night:0.4]", ["[day:night:0.4]"]),
    ("{oak|elm|ash}", ["oak", "elm", "ash"]),
    ("{old lamp|wash-tub!|Öfen}", ["old lamp", "wash-tub!", "Öfen"]),
    ("{|oak}", ["", "oak"]),
    ("{0$$oak|elm}", [""]),
    ("{1-2$$oak|elm}", ["oak", "elm", "oak,elm", "elm,oak"]),
    ("{-2$$oak|elm}", ["oak", "elm", "oak,elm", "elm,oak"]),
    ("{0-1$$oak|elm}", ["", "oak", "elm"]),
    ("{!1-2$$oak|elm}", ["oak", "elm", "oak,elm", "elm,oak"]),
    ("{2$$|$$oak|elm}", ["oak|elm", "elm|oak"]),
    ("{2$$  $$oak|elm}", ["oak  elm", "elm  oak"]),
    ("{2$$oak|elm}{2$$x|y}", ["oak,elmx,y", "oak,elmy,x", "elm,oakx,y", "elm,oaky,x"]),
    ("{oak|elm} {leaf|bark}", ["oak leaf", "oak bark", "elm leaf", "elm bark"]),
    ("{0.2::oak|0.3::elm} tree", ["oak tree", "elm tree"]),
    ("{2$$__[cw]*m__}", ["sand,sun", "sun,sand"]),
    ("{2$$ then $$__cold__}", ["ice then snow", "snow then ice"]),
    ("{5$$__cold__}", ["ice,snow", "snow,ice"]),
    ("__[cw]*__ day", ["ice day", "sand day", "snow day", "sun day"]),
    ("__both__", ["ice", "snow", "sand", "sun"]),
    ("{__cold__|rain}", ["ice", "snow", "rain"]),
    ("{__cold__|{__warm__|rain}}", ["ice", "snow", "sand", "sun", "rain"]),
    ("${s=winter}a __shoes/${s}/boot__", ["a fur boot"]),
    ("${s=summer}__shoes/${s}/*__", ["canvas boot"]),
    ("__shoes/${s: winter }/boot__", ["fur boot"]),
    ("__shoes/{summer|winter}/boot__", ["canvas boot"]),
    ("__greet__", ["someone waves, kindly"]),
    ("__greet(who=Ada)__", ["Ada waves, kindly"]),
    ("__greet(who=Ada,how=slowly)__", ["Ada waves, slowly"]),
    ("__greet(who={Ada|Bea})__", ["Ada waves, kindly", "Bea waves, kindly"]),
    ("${who=Cy}__greet__", ["Cy waves, kindly"]),
    ("${who=Cy}__greet(who=old ${who})__", ["old Cy waves, kindly"]),
    ("__greet(who={Ada|Bea}, how=like ${who:no one})__", [
        "Ada waves, like Ada", "Ada waves, like Bea", "Bea waves, like Ada", "Bea waves, like Bea",
    ]),
    ("${who=Cy}__greet(how=like ${who}, who=Ada)__", ["Ada waves, like Ada"]),
    ("${t=elm}the ${t:oak}", ["the elm"]),
    ("the ${t:oak}", ["the oak"]),
    ("${t =! elm }${t}", ["elm "]),
    ("${t = elm} ${t:oak}", [" elm"]),
    ("${t ?=! elm} ${t:oak}", [" elm"]),
    ("${t= !elm}${t}", ["!elm"]),
    ("{\u00a0oak|\u3000elm}", ["\u00a0oak", "\u3000elm"]),
    ("__drink/cup__", ["cold lime water"]),
    ("${season=winter}__drink/cup__", ["hot plum wine"]),
    ("${season=winter}${fruit=fig}__drink/cup__", ["hot fig wine"]),
    ("%{a … b$${x|y}}", ["a x b", "a y b"]),
    ("%{a ..... b$${x|y}}", ["a x b", "a y b"]),
    ("%{a ᠁ b$$x}", ["a x b"]),
    ("%{ {p|q} ...$${x|y}}", ["p x", "p y", "q x", "q y"]),
    ("%{__frames__$$a fox}", ["as a woodcut of a fox", "in oil, a fox, on canvas"]),
    ("%{__prefix__$$: x}", ["no mark: x"]),
    ("__metals__", ["foil", "lead", "tin"]),
    ("__pets/*__", ["horse", "mouse", "newt", "mouse", "newt"][:0] or None),
    ("__list__", ["one", "two"]),
    ("A {@red|green} ball", ["A red ball", "A green ball"]),
    ("A {red|green} {@ball|cube}", ["A red ball", "A green cube"]),
    ("A {@red|green} {ball|cube} {x|y}", [
        "A red ball x", "A green ball y", "A red cube x", "A green cube y",
    ]),
    ("A {red|{@green|blue}} {@ball|cube}", ["A red ball", "A green cube"]),
    ("see __@cold__", ["see ice", "see snow"]),
    ("__{@cold|warm}__", ["ice", "snow"]),
    ("__@cold__ {a|b}", ["ice a", "snow b"]),
    ("{# half\n0.5::oak|# half\n0.5::elm}", ["oak", "elm"]),
    ("${x=!{a|b}}${y=!${x}c}${y}${x}", ["aca", "bcb"]),
    ("${m=!{fast|slow}}a __makes/${m}/kind__ by __makes/${m}/name__", [
        "a racing car by Zum", "a cart by Oxo",
    ]),
    ("${m=!{fast|slow}}${n=!{a|b}}${n} __makes/${m}/name__", ["a Zum", "b Zum", "a Oxo", "b Oxo"]),
    ("{2$$__missing__} {a|b}", ["__missing__ a", "__missing__ b"]),
    ("{2$$, $$__cold__|x}", ["ice, x", "snow, x", "x, ice", "x, snow"]),
    ("{a|{a|b}}", ["a", "b"]),
    ("{__cold__|snow}", ["ice", "snow"]),
    ("{2$$a|a|b}", ["a,a", "a,b", "b,a"]),
    ("{2$${a|b}|{a|c}}", ["a,a", "a,c", "b,a", "b,c", "a,b", "c,a", "c,b"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), [case for case in LISTS if case[1] is not None])
def test_all_combinations(text: str, wanted: list[str]):
    template = parse(text, LIBRARY)
    assert [one.text for one in template.combinations()] == wanted
    assert template.count() == len(wanted)
    assert [template.combination(n).text for n in range(len(wanted))] == wanted


DISTRIBUTIONS = [
    ("{oak|elm|ash}", {"oak": 1, "elm": 1, "ash": 1}),
    ("{1-2$$oak|elm}", {"oak": 1, "elm": 1, "oak,elm": 1, "elm,oak": 1}),
    ("{0-1$$oak|elm}", {"": 2, "oak": 1, "elm": 1}),
    ("{0.2::oak|0.3::elm|0.5::ash}", {"oak": 2, "elm": 3, "ash": 5}),
    ("{a|0::b|3::}", {"a": 1, "": 3}),
    ("{2$$__cold__|__warm__}", {
        f"{one},{two}": 1
        for first, second in (("ice snow", "sand sun"), ("sand sun", "ice snow"))
        for one in first.split() for two in second.split()
    }),
    ("__metals__", {"lead": 10, "tin": 5, "foil": 1}),
    ("{__metals__}", {"lead": 10, "tin": 5, "foil": 1}),
    ("{2$$__metals__}", {
        "lead,tin": 10 / 16 * 5 / 6, "lead,foil": 10 / 16 * 1 / 6, "tin,lead": 5 / 16 * 10 / 11,
        "tin,foil": 5 / 16 * 1 / 11, "foil,lead": 1 / 16 * 10 / 15, "foil,tin": 1 / 16 * 5 / 15,
    }),
    ("{2$$a|5::b|c}", {
        "a,b": 1 / 7 * 5 / 6, "a,c": 1 / 7 * 1 / 6, "b,a": 5 / 7 / 2, "b,c": 5 / 7 / 2,
        "c,a": 1 / 7 * 1 / 6, "c,b": 1 / 7 * 5 / 6,
    }),
    ("__both__", {"ice": 1, "snow": 1, "sand": 1, "sun": 1}),
    ("{__cold__|rain}", {"ice": 1, "snow": 1, "rain": 2}),
    ("${x=!{a|b}}${x}${x}", {"aa": 1, "bb": 1}),
    ("${x={a|b}}${x}${x}", {"aa": 1, "ab": 1, "ba": 1, "bb": 1}),
    ("__shoes/{summer|winter}/boot__", {"canvas boot": 1, "fur boot": 1}),
    ("{2$$__{cold|warm}__}", {"ice,snow": 1, "snow,ice": 1, "sand,sun": 1, "sun,sand": 1}),
    ("${m=!{fast|slow}}__makes/${m}/kind__ __makes/${m}/name__", {"racing car Zum": 1,
                                                                   "cart Oxo": 1}),
    ("${m=!{cold|warm}}{2$$__${m}__}", {"ice,snow": 1, "snow,ice": 1, "sand,sun": 1,
                                        "sun,sand": 1}),
    ("%{__frames__$${x|y}}", {
        "in oil, x, on canvas": 1, "in oil, y, on canvas": 1,
        "as a woodcut of x": 1, "as a woodcut of y": 1,
    }),
    ("{~a|b} {!c|d}", {"a c": 1, "a d": 1, "b c": 1, "b d": 1}),
    ("{3$$1000000::a|b|c}", {
        "a,b,c": 1e6 / 1000002 / 2, "a,c,b": 1e6 / 1000002 / 2, "b,a,c": 1e-6, "c,a,b": 1e-6,
        "b,c,a": 1e-12, "c,b,a": 1e-12,
    }),
]  # fmt: skip


@pytest.mark.parametrize(("text", "shares"), DISTRIBUTIONS)
def test_exact_probabilities(text: str, shares: dict[str, float]):
    """Chi-square over fixed seeds; 5 standard deviations above what chance gives."""
    draws = 4000
    found = Counter(one.text for one in parse(text, LIBRARY).randoms(range(draws)))
    total = sum(shares.values())
    assert set(found) <= set(shares)
    wanted = {key: share / total * draws for key, share in shares.items()}
    chi = sum((found[key] - many) ** 2 / many for key, many in wanted.items() if many > 1)
    freedom = len(wanted) - 1
    assert chi <= freedom + 5 * (2 * freedom) ** 0.5 + 6


TURNS = [
    ("{oak|elm}", ["oak", "elm", "oak"]),
    ("{1-2$$oak|elm}", ["oak", "elm", "oak,elm", "elm,oak", "oak"]),
    ("{0$$oak}", ["", ""]),
    ("{oak|elm} {1|2|3}", ["oak 1", "elm 2", "oak 3", "elm 1"]),
    ("__both__", ["ice", "sand", "snow", "sun", "ice"]),
    ("{!oak|elm}", ["oak", "elm", "oak"]),
    ("${t={a|b}}${t} ${u:{x|y|z}}", ["a x", "b y", "a z", "b x"]),
    ("${t=!{a|b}}${t}${t}", ["aa", "bb", "aa"]),
    ("%{p{1|2} ... $${x|y}}", ["p1 x ", "p2 y ", "p1 x "]),
    ("{2$${a|b}|c}", ["a,c", "c,a", "b,c", "c,b", "a,c"]),
    ("{1-2$$__cold__|x}", ["ice", "x", "ice,x", "x,ice", "snow", "x", "snow,x", "x,snow", "ice"]),
    ("{2$$__cold__}", ["ice,snow", "snow,ice", "ice,snow"]),
    ("__metals__", ["foil", "lead", "lead", "lead", "lead", "lead", "tin", "tin", "foil"]),
    ("__missing__ {a|b}", ["__missing__ a", "__missing__ b"]),
    ("__shoes/{summer|winter}/boot__", ["canvas boot", "canvas boot"]),
    ("${m=!{fast|slow}}__makes/${m}/name__", ["Zum", "Oxo", "Zum"]),
]


@pytest.mark.parametrize(("text", "wanted"), TURNS)
def test_turns(text: str, wanted: list[str]):
    turned = islice(parse(text, LIBRARY).cyclical(), len(wanted))
    assert [one.text for one in turned] == wanted


def test_random_in_turns_follows_the_number():
    template = parse("{~a|b|c} {x|y}")
    once = [one.text for one in islice(template.cyclical(), 6)]
    assert once == [one.text for one in islice(template.cyclical(), 6)]
    assert {text[0] for text in once} <= {"a", "b", "c"}


def test_cyclical_in_random_goes_with_the_seed():
    template = parse("{@a|b|c} __@cold__")
    assert [template.random(seed).text[0] for seed in range(4)] == ["a", "b", "c", "a"]


BRACKETS = [
    (ParserConfig("<", ">"), "a <x|y|__cold__>", ["a x", "a y", "a ice", "a snow"]),
    (ParserConfig("[[", "]]"), "[[1-2$$ & $$x|y]]", ["x", "y", "x & y", "y & x"]),
    (ParserConfig(wildcard_wrap="@@"), "@@cold@@ a__b", ["ice a__b", "snow a__b"]),
    (ParserConfig(wildcard_wrap="&"), "{x|&cold&}", ["x", "ice", "snow"]),
    (ParserConfig(wildcard_wrap="~~"), "{~~cold~~|x}", ["ice", "snow", "x"]),
    (ParserConfig(variable_start="$(", variable_end=")"), "$(v={a|b})$(v)", ["a", "b"]),
    (ParserConfig(wrap_start="%<", wrap_end=">"), "%<p ... q$${a|b}>", ["p a q", "p b q"]),
]


@pytest.mark.parametrize(("config", "text", "wanted"), BRACKETS)
def test_other_brackets(config: ParserConfig, text: str, wanted: list[str]):
    template = parse(text, LIBRARY, config=config)
    assert [one.text for one in template.combinations()] == wanted
    assert parse(str(template), config=config).root == template.root


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{oak|elm", "DP101"), ("${x", "DP101"), ("%{a", "DP101"), ("%{a$$b", "DP101"),
        ("${x=a", "DP101"), ("${}", "DP102"), ("%{a}", "DP103"), ("__w(x)__", "DP104"),
        ("__w(x=1__", "DP105"), ("{a|b}$$", "DP106"), ("{-.5::a}", "DP107"),
        ("{9999999999999999::a}", "DP107"), ("{2 $$a}", "DP108"), ("{-$$a}", "DP108"),
        ("{1-2-3$$a|b}", "DP108"), ("{2.0$$a|b}", "DP108"), ("{+2$$a|b}", "DP108"),
        ("{$$a}", "DP108"), ("{2$$$$a|b}", "DP109"), ("{${x=1}|b}", "DP110"),
        ("${x=a|b}", "DP111"), ("${x:a|b}", "DP111"), ("${x y}", "DP112"), ("${x?}", "DP112"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, code: str):
    with pytest.raises(PromptError) as caught:
        parse(text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("${x=[a|b]}${x}", "[a|b]"),
        ("__greet(who=[cat|dog] :), how=:()__", "[cat|dog] :) waves, :("),
        ("__greet(who=photo :) of x)__", "photo :) of x waves, kindly"),
        ("__greet (who=Ada)__", "Ada waves, kindly"),
        ("__greet(who=Ada # note\n)__", "Ada waves, kindly"),
        ("__greet()__", "someone waves, kindly"),
        ("__greet(who=)__", "someone waves, kindly"),
        ("__init__(self)", "__init__(self)"),
        ("a __b(c d) e", "a __b(c d) e"),
        ("__a\n__", "__a\n__"),
        ("__(x=1)__", "__(x=1)__"),
        ("__a{b__", None),
        ("a \\\\{x}", "a \\x"),
        ("a \\\\\\{x\\}", "a \\{x}"),
        ("back\\slash\\", "back\\slash\\"),
        ("{a /* x */ b}", "a /* x */ b"),
        ("{/* x */a}/* open", "a/* open"),
        ("// all", ""),
        ("a#b\n// c\nd", "a\nd"),
        ("<lora:__cold__:1>", None),
        ("<lora:x__y__z:1>", "<lora:x__y__z:1>"),
        ("<lora:__x(y=1)__:1>", "<lora:__x__:1>"),
        ("<lora:__greet(who=__list__)__:1>", None),
        ("<lora:__a__b:1>", "<lora:__a__b:1>"),
        ("{12345678901$$a|b}", None),
        ("__a/{x\ny}__", "__a/x\ny__"),
    ],
)
def test_corners(text: str, wanted: str | None):
    try:
        drawn = parse(text, LIBRARY).random(1).text
    except PromptError:
        drawn = None
    if wanted is not None:
        assert drawn == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("${n=2}{${n}$$a|b|c}", ["a,b", "a,c", "b,a", "b,c", "c,a", "c,b"]),
        ("${n=!{1|2}}{${n}$$a|b}", ["a", "b", "a,b", "b,a"]),
        ("{${n:2}$$ and $$__cold__}", ["ice and snow", "snow and ice"]),
        ("{1-${n:2}$$a|b}", ["a", "b", "a,b", "b,a"]),
        ("{-${n:2}$$a|b}", ["a", "b", "a,b", "b,a"]),
        ("{!${n:2-}$$a|b}", ["a,b", "b,a"]),
        ("${n=2-1}{${n}$$a|b}", ["a", "b", "a,b", "b,a"]),
        ("${n=-1}{${n}$$a|b}", ["a", "b"]),
        ("${n=1}{1-${n}$$a|${n}}", ["a", "1"]),
        ("${n=1}{${n}-${n}$$a|b}", ["a", "b"]),
        ("{${n:1}-2$$a|b}", ["a", "b", "a,b", "b,a"]),
    ],
)
def test_a_variable_says_how_many(text: str, wanted: list[str]):
    template = parse(text, LIBRARY)
    assert [one.text for one in template.combinations()] == wanted
    assert template.count() == len(wanted)
    assert {template.random(seed).text for seed in range(99)} <= set(wanted)
    assert parse(str(template)).root == template.root
    assert template.reach().variables[0].name == "n"


def test_a_variable_that_says_something_else():
    with pytest.raises(PromptError, match=r'"many" is not a number of options \[DP124\]'):
        parse("${n=many}{${n}$$a|b}").random(1)
