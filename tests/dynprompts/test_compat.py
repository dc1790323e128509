"""The ancestor's public names on this engine: same signatures, same results where chance is out."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from dynprompts import ParserConfig, PromptSyntaxError, WildcardLibrary
from dynprompts import parse as parse_template
from dynprompts.compat import (
    BatchedCombinatorialPromptGenerator,
    CombinatorialPromptGenerator,
    DummyGenerator,
    GeneratorException,
    JinjaGenerator,
    RandomPromptGenerator,
    SamplingContext,
    SamplingMethod,
    WildcardManager,
    install,
)
from dynprompts.compat import commands as c
from dynprompts.compat.generators import MagicPromptGenerator
from dynprompts.compat.parser import parse
from dynprompts.compat.wildcards.item import WildcardItem
from dynprompts.compat.wildcards.values import WildcardValues

JINJA = json.loads((Path(__file__).parent / "data" / "jinja.json").read_text("utf-8"))


@pytest.fixture
def manager(tmp_path: Path) -> WildcardManager:
    (tmp_path / "clothes").mkdir()
    (tmp_path / "colours.txt").write_text("red\ngreen\nred\n", encoding="utf-8")
    (tmp_path / "clothes" / "hats.txt").write_text("cap\nfez\n", encoding="utf-8")
    (tmp_path / "heavy.yaml").write_text("heavy: ['3::iron', air]\n", encoding="utf-8")
    return WildcardManager(tmp_path)


def test_a_seed_gives_the_prompt_of_the_engine(manager: WildcardManager):
    template = "a {red|2::blue} __colours__ {2$$a|b|c}"
    generator = RandomPromptGenerator(manager)
    own = parse_template(template, manager.library)
    seeds = [0, 7, 1 << 70, -1]
    assert generator.generate(template, 4, seeds=seeds) == [own.random(s).text for s in seeds]
    assert generator.generate(template, 2, seeds=7) == [own.random(7).text] * 2
    assert generator.generate(template, 1, seeds=0) == [own.random(0).text]
    with pytest.raises(ValueError, match="Expected 3 seeds, but got 2"):
        generator.generate(template, 3, seeds=[1, 2])


def test_a_generator_with_a_seed_repeats_itself():
    def drawn(**options: Any) -> list[str]:
        return RandomPromptGenerator(**options).generate("{1|2|3|4|5|6|7|8|9}", 20)

    assert drawn(seed=3) == drawn(seed=3) != drawn(seed=4)
    assert len(set(drawn())) > 1
    unlinked = RandomPromptGenerator(seed=3, unlink_seed_from_prompt=True)
    several = [unlinked.generate("{1|2|3|4|5|6|7|8|9}", 9, seeds=[1]) for _ in range(3)]
    assert several[0] != several[1] or several[1] != several[2]


def test_no_template_gives_no_prompt():
    assert RandomPromptGenerator().generate() == []
    assert RandomPromptGenerator().generate("", 2, seeds=[1, 2]) == ["", ""]
    assert CombinatorialPromptGenerator().generate(None) == []


def test_combinations(manager: WildcardManager):
    generator = CombinatorialPromptGenerator(manager, ignore_whitespace=True)
    assert generator.generate("{a|b}  __colours__") == ["a green", "a red", "b green", "b red"]
    assert generator.generate("{a|b}", 1) == ["a"]
    assert generator.generate("{__nope__|x}", max_prompts=None) == ["__nope__", "x"]
    batched = BatchedCombinatorialPromptGenerator(generator, 2)
    assert batched.generate("{a|b}") == ["a", "b", "a", "b"]
    assert DummyGenerator().generate("{a|b}", 2) == ["{a|b}", "{a|b}"]
    assert CombinatorialPromptGenerator(parser_config=ParserConfig("<", ">")).generate("<a|b>") == [
        "a", "b",
    ]  # fmt: skip


def test_what_is_not_offered_says_so():
    with pytest.raises(GeneratorException, match="MagicPromptGenerator is not offered"):
        MagicPromptGenerator(DummyGenerator()).generate("a")


def test_a_context_continues(manager: WildcardManager):
    def context(method: SamplingMethod, **options: Any) -> SamplingContext:
        return SamplingContext(method, manager, **options)

    cyclical = context(SamplingMethod.CYCLICAL).sample_prompts("{a|b}")
    assert [str(next(cyclical)) for _ in range(3)] == ["a", "b", "a"]
    assert SamplingMethod.CYCLICAL.is_nonfinite()
    endless = context(SamplingMethod.RANDOM).sample_prompts("{a|b} x")
    assert {str(next(endless)) for _ in range(40)} == {"a x", "b x"}
    listed = context(SamplingMethod.COMBINATORIAL, variables={"x": parse("{1|2}")})
    assert [one.text for one in listed.sample_prompts("${x}  y")] == ["1  y", "2  y"]
    squashed = [one.whitespace_squashed().text for one in listed.sample_prompts("a  b")]
    assert squashed == ["a b"]
    other = listed.with_variables({"x": c.LiteralCommand("9")})
    assert [str(one) for one in other.sample_prompts(parse("{${x}|b}"))] == ["9", "b"]
    again = other.with_sampling_method(SamplingMethod.CYCLICAL)
    assert again.default_sampling_method is SamplingMethod.CYCLICAL
    unknown = context(SamplingMethod.RANDOM, unknown_variable_value="?")
    assert [str(one) for one in unknown.sample_prompts("${v}", 1)] == ["?"]
    with pytest.raises(KeyError, match="DP121"):
        list(context(SamplingMethod.RANDOM).sample_prompts("${v}", 1))
    with pytest.raises(TypeError, match="int"):
        listed.template(7)  # type: ignore[arg-type]


def test_the_errors_that_programs_catch(monkeypatch: pytest.MonkeyPatch, manager: WildcardManager):
    monkeypatch.setitem(sys.modules, "pyparsing", None)
    with pytest.raises(PromptSyntaxError, match="never closed"):
        parse("{a|b")

    class ParseException(Exception):  # as it is called there
        pass

    fake = types.ModuleType("pyparsing")
    fake.ParseException = ParseException  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyparsing", fake)
    with pytest.raises(ParseException, match="never closed"):
        parse("{a|b")
    with pytest.raises(ParseException):
        RandomPromptGenerator().generate("{a|b", 1)
    assert manager.path is not None
    (manager.path / "bad.txt").write_text("{a|b", encoding="utf-8")
    manager.clear_cache()
    with pytest.raises(ParseException):
        RandomPromptGenerator(manager).generate("__bad__", 1)


COMMANDS = [
    ("", c.LiteralCommand("")),
    ("a", c.LiteralCommand("a")),
    ("{a|2::b}", c.VariantCommand([c.VariantOption(c.LiteralCommand("a")),
                                   c.VariantOption(c.LiteralCommand("b"), 2.0)])),
    ("{!2-3$$ and $$a|b|c}", None), ("__@x__", c.WildcardCommand("x", SamplingMethod.CYCLICAL)),
    ("__x(a={b|c}, d=e)__", None), ("__{a|b}__", None), ("${x}", c.VariableAccessCommand("x")),
    ("${x:y}", None), ("${x=!{a|b}}${y?=z}${x}", None), ("%{a ... b$${c|d}}", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), COMMANDS)
def test_commands_there_and_back(text: str, wanted: c.Command | None):
    command = parse(text)
    assert wanted is None or command == wanted
    context = SamplingContext(SamplingMethod.COMBINATORIAL, WildcardManager())
    assert context.template(command).root == parse_template(text).root


def test_commands_can_be_looked_into():
    command = parse("a {b|3::__c__} %{d$$e}")
    assert isinstance(command, c.SequenceCommand)
    assert len(command) == 4
    assert command[0].sampling_method is None
    variant = command.tokens[1]
    assert isinstance(variant, c.VariantCommand)
    assert (variant.weights, variant.sampling_method) == ([1.0, 3.0], None)
    assert variant.values[1] == c.WildcardCommand("c")
    assert c.WildcardCommand("c", SamplingMethod.RANDOM).sampling_method is SamplingMethod.RANDOM
    joined = c.SequenceCommand([c.LiteralCommand("a"), c.LiteralCommand("b")], separator="-")
    context = SamplingContext(SamplingMethod.COMBINATORIAL, WildcardManager())
    assert [str(one) for one in context.sample_prompts(joined)] == ["a-b"]
    with pytest.raises(TypeError, match="a command is expected"):
        c.sequence_of(object())  # type: ignore[arg-type]


def test_the_manager_of_wildcards(manager: WildcardManager, tmp_path: Path):
    assert manager.get_collection_names() == {"clothes/hats", "colours", "heavy"}
    assert manager.get_values("__colours__").string_values == ["green", "red"]
    assert manager.get_all_values("hats") == ["cap", "fez"]
    assert not manager.get_values("nope")
    assert (manager.to_wildcard("a"), manager.to_wildcard("__a__")) == ("__a__", "__a__")
    assert manager.is_wildcard("__a__")
    assert not manager.is_wildcard("a")
    assert manager.wildcard_wrap == "__"
    assert [str(one) for one in manager.match_collections("clothes/*")] == ["clothes/hats"]
    assert manager.get_file("clothes/hats").get_values() == ["cap", "fez"]
    assert manager.get_file("heavy").get_values() == ["air", WildcardItem("iron", 3.0)]
    assert manager.get_file("heavy").givers == ("heavy.yaml",)
    with pytest.raises(KeyError, match="nope"):
        manager.get_file("nope")
    manager.dedup_wildcards = manager.sort_wildcards = False
    assert (manager.dedup_wildcards, manager.sort_wildcards) == (False, False)
    assert manager.get_values("colours").string_values == ["red", "green", "red"]
    manager.shuffle_wildcards = True
    assert sorted(manager.get_values("colours").string_values) == ["green", "red", "red"]
    root = manager.tree.root
    assert sorted(root.walk_full_names()) == ["clothes/hats", "colours", "heavy"]
    assert root.child_nodes["clothes"].qualify_name("x") == "clothes/x"
    assert list(manager.tree.get_collection_names()) == ["clothes/hats", "colours", "heavy"]
    assert WildcardManager().get_collection_names() == set()


def test_roots_with_names_in_front(tmp_path: Path):
    (tmp_path / "x.txt").write_text("1\n", encoding="utf-8")
    (tmp_path / "sub").mkdir()
    roots = {"": [tmp_path], "more": [tmp_path, {"k": ["v"]}], "list": [["a", "b"]]}
    manager = WildcardManager(root_map=roots)
    assert manager.get_collection_names() == {"x", "more/x", "more/k", "list/0"}
    assert manager.path is None
    with pytest.raises(ValueError, match="both path and roots"):
        WildcardManager(tmp_path, root_map=roots)


def test_values_are_a_sequence():
    values = WildcardValues.from_items(["a", WildcardItem("b", 2.5)])
    assert (values[0], len(values), list(values.copy())) == ("a", 2, list(values))
    assert values.has_varied_weights
    assert list((values + values).iterate_string_values_weighted()) == ["a", "b", "b"] * 2


@pytest.mark.parametrize("case", JINJA, ids=[one["id"] for one in JINJA])
def test_jinja_cases(case: dict[str, Any], tmp_path: Path):
    for name, content in case["wildcards"].items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    generator = JinjaGenerator(WildcardManager(tmp_path))
    if case["expected"]["kind"] == "error":
        with pytest.raises(GeneratorException):
            generator.generate(case["template"])
        return
    found = generator.generate(case["template"], seeds=5)
    if case["expected"]["kind"] == "list":
        assert found == case["expected"]["outputs"]
    else:
        assert set(found) <= set(case["expected"]["members"])


def test_jinja_follows_seeds_and_stays_in_its_sandbox(manager: WildcardManager):
    text = "{{ choice(1,2,3,4,5,6,7) }}{{ randint(1, 99) }}{{ weighted_choice(('a',1),('b',2)) }}"
    text += "{{ random() }}{{ random_sample('{x|y|z}') }}{{ name }}"
    generator = JinjaGenerator(manager, context={"name": "Q"}, ignore_whitespace=True)
    once = generator.generate(text, 3, seeds=[1, 2, 1])
    assert once[0] == once[2] != once[1]
    assert once[0].endswith("Q")
    assert generator.generate(text, 2, seeds=[4]) == generator.generate(text, 2, seeds=4)
    assert len(JinjaGenerator(unlink_seed_from_prompt=True).generate("{{ random() }}", 2)) == 2
    with pytest.raises(ValueError, match="Expected 3 seeds"):
        generator.generate(text, 3, seeds=[1, 2])
    blocks = "{% prompt %}a{% endprompt %}{% prompt %}b{% endprompt %}"
    assert JinjaGenerator(limit_prompts=True).generate(blocks) == ["a"]
    assert JinjaGenerator().generate(blocks) == ["a", "b"]
    for bad in (
        "{{ ''.__class__.__mro__ }}", "{{ choice.__globals__ }}", "{{ choice() }}", "{{ 1 / 0 }}",
        "{{ range(10**9) | list }}", "{{ permutations(3, 1) }}",
    ):  # fmt: skip
        try:
            assert JinjaGenerator().generate(bad) == [""]
        except GeneratorException:
            continue


def test_jinja_is_an_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(GeneratorException, match=r"loraloom\[jinja\]"):
        JinjaGenerator().generate("a")


PROGRAM = """
from dynprompts.compat import install
install()
from dynamicprompts.generators.randomprompt import RandomPromptGenerator
from dynamicprompts.wildcards.wildcard_manager import WildcardManager
from dynamicprompts.commands.base import SamplingMethod
from dynamicprompts import constants
import dynamicprompts.parser.parse
print(RandomPromptGenerator(WildcardManager(), seed=1).generate("{a} b", 1), constants.MAX_IMAGES)
install()
"""


def test_programs_run_unchanged():
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {root!r})\n{PROGRAM}"],
        capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    assert done.stdout == "['a b'] 1000\n"


def test_install_names_every_module(monkeypatch: pytest.MonkeyPatch):
    before = dict(sys.modules)
    try:
        install()
        assert sys.modules["dynamicprompts"].__name__ == "dynprompts.compat"
        assert sys.modules["dynamicprompts.wildcardmanager"].WildcardManager is WildcardManager
    finally:
        for name in set(sys.modules) - set(before):
            if name.startswith("dynamicprompts"):
                del sys.modules[name]


def test_install_is_too_late_behind_the_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "dynamicprompts", types.ModuleType("dynamicprompts"))
    with pytest.raises(RuntimeError, match="imported already"):
        install()


def test_the_library_is_typed():
    assert (Path(__file__).parents[2] / "dynprompts" / "py.typed").is_file()
    assert WildcardLibrary().names == ()
