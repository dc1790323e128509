"""`python -m dynprompts TEMPLATE`: draw, count, list, report, check; plain text or --json."""

from __future__ import annotations

import argparse
import errno
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from ..errors import PromptError, counted
from ..sample import Sample
from ..scope import Rules
from ..template import Template, parse, parse_lines
from ..wildcards import MOST_BYTES, WildcardLibrary
from .lint import ERROR, LintFinding, finding_of, lint_library, lint_template

_MOST_DRAWN = 1_000_000


_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""A terminal obeys them; a template or a wildcard file of somebody else may hold them."""


def _print(text: object, file: TextIO | None = None) -> None:
    r"""Print a text, or JSON, with control letters as `\uXXXX`."""
    plain = _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", str(text))
    print(plain, file=file)


def main(arguments: Sequence[str] | None = None, program: str = "python -m dynprompts") -> int:
    """Run the command; return 0, 1 (an error or a finding) or 2 (wrong usage)."""
    parser = _parser(program)
    try:
        options = parser.parse_args(arguments)
    except SystemExit as stopped:
        return int(stopped.code or 0)
    try:
        return _run(parser, options)
    except BrokenPipeError:  # pragma: no cover  # `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        _print(
            f"Error: {error.filename} cannot be read: {error.strerror}. [DP204]", file=sys.stderr
        )
        return 1
    except (PromptError, UnicodeError) as error:
        _print(f"Error: {error}", file=sys.stderr)
        return 1


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Draw prompts from a template, count or check what it can become.",
        epilog="The language is described in docs/dynprompts.md.",
    )
    parser.add_argument(
        "template", nargs="?", help='the template; "-" reads it from stdin, "@FILE" from a file'
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the first prompt (default: 0)")
    parser.add_argument("--number", type=_amount, default=1, help="number of prompts (default: 1)")
    parser.add_argument(
        "-w", "--wildcards", action="append", default=[], metavar="FOLDER",
        help="folder with wildcard files; repeatable",
    )  # fmt: skip
    parser.add_argument("--follow-links", action="store_true", help="follow links to other folders")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="set a variable"
    )
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument(
        "--combinations", nargs="?", type=_amount, const=_MOST_DRAWN, metavar="MOST",
        help="list all combinations, or the first MOST",
    )  # fmt: skip
    ways.add_argument("--sample", type=_amount, metavar="N", help="draw N different prompts")
    ways.add_argument("--cyclical", action="store_true", help="cycle through each variant")
    ways.add_argument("--count", action="store_true", help="count all combinations")
    ways.add_argument("--reach", action="store_true", help="list tags, wildcards and variables")
    ways.add_argument(
        "--lint", action="store_true", help="check the template, or without one all wildcards"
    )
    parser.add_argument(
        "--depth", type=_amount, metavar="N",
        help="with --count and --sample: nest wildcards and variables at most N deep",
    )  # fmt: skip
    parser.add_argument("--start", type=int, default=0, help="with --combinations: first number")
    parser.add_argument(
        "--balance", action="append", metavar="NAME", help="draw a variant's options evenly"
    )
    parser.add_argument(
        "--no-repeats", nargs="*", metavar="NAME",
        help="draw no option twice in one prompt, of all variants or of those named",
    )  # fmt: skip
    parser.add_argument("--lines", action="store_true", help="each line is a separate template")
    parser.add_argument("--picks", action="store_true", help="show the picked options")
    parser.add_argument("--coverage", action="store_true", help="report what the batch drew")
    parser.add_argument(
        "--strict", action="store_true",
        help="a missing wildcard is an error; with --lint warnings count, too",
    )  # fmt: skip
    parser.add_argument("--squeeze", action="store_true", help="collapse white space")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _amount(text: str) -> int:
    number = int(text)
    if not 0 <= number <= _MOST_DRAWN:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {_MOST_DRAWN}")
    return number


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    for folder in options.wildcards:
        if not os.path.isdir(folder):  # noqa: PTH112  # no pathlib at import
            parser.print_usage(sys.stderr)
            _print(f'Error: the wildcard folder "{folder}" is not there', file=sys.stderr)
            return 2
    library = WildcardLibrary(*options.wildcards, follow_links=options.follow_links)
    variables = {}
    for word in options.set:
        name, equals, value = word.partition("=")
        if not name.strip() or not equals:
            parser.print_usage(sys.stderr)
            _print(f'Error: --set needs NAME=VALUE, but got "{word}"', file=sys.stderr)
            return 2
        variables[name.strip()] = value
    if options.template is None:
        if options.lint and options.wildcards:
            return _print_findings(lint_library(Rules(library), variables), options)
        parser.print_usage(sys.stderr)
        _print("Error: a template is expected (or --lint with --wildcards)", file=sys.stderr)
        return 2
    text = _read(options.template)
    strict = options.strict and not options.lint
    try:
        templates = (parse_lines if options.lines else _parse_one)(
            text, library, variables=variables, ignore_whitespace=options.squeeze, strict=strict,
            no_repeats=options.no_repeats or options.no_repeats is not None,
        )  # fmt: skip
    except PromptError as error:
        if not options.lint:
            raise
        return _print_findings([finding_of(error)], options)
    return max([_show(template, options, variables) for template in templates], default=0)


def _parse_one(text: str, library: WildcardLibrary, **options: Any) -> list[Template]:
    return [parse(text, library, **options)]


def _show(template: Template, options: argparse.Namespace, variables: dict[str, str]) -> int:
    if options.lint:
        findings = lint_template(template.document, template.rules, variables)
        return _print_findings(findings, options)
    if options.count:
        shown = _digits(template.count(options.depth))
        _print(json.dumps({"count": shown}) if options.json else shown)
        return 0
    if options.reach:
        return _print_reach(template, options)
    return _print_samples(template, options)


def _read(word: str) -> str:
    if word == "-":
        return sys.stdin.read()
    if word.startswith("@") and len(word) > 1:
        with open(word[1:], "rb") as file:  # noqa: PTH123  # no pathlib at import
            content = file.read(MOST_BYTES + 1)
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            why = f"it is not UTF-8 text (byte {error.start})"
            raise OSError(errno.EILSEQ, why, word[1:]) from error
        if len(content) > MOST_BYTES:
            raise OSError(errno.EFBIG, f"it is longer than {MOST_BYTES:,} bytes", word[1:])
        return text.replace("\r\n", "\n").replace("\r", "\n")
    return word


def _samples(template: Template, options: argparse.Namespace) -> Iterable[Sample]:
    if options.combinations is not None:
        return template.combinations(options.combinations, options.start)
    if options.sample is not None:
        return template.sample(options.sample, options.seed, options.depth)
    if options.cyclical:
        turns = template.cyclical()
        return (next(turns) for _ in range(options.number))
    if options.balance:
        return template.balanced(options.number, *options.balance, seed=options.seed)
    return template.randoms(range(options.seed, options.seed + options.number))


def _print_samples(template: Template, options: argparse.Namespace) -> int:
    kept: list[Sample] = []
    for sample in _samples(template, options):
        if options.coverage:
            kept.append(sample)
        if options.json:
            values: dict[str, Any] = {"prompt": sample.text}
            if sample.seed is not None:
                values["seed"] = sample.seed
            if sample.number is not None:
                values["number"] = sample.number
            if options.picks:
                values["picks"] = [pick._asdict() for pick in sample.picks]
            _print(json.dumps(values, ensure_ascii=False))
            continue
        _print(sample.text)
        if options.picks:
            for pick in sample.picks:
                where = f"  ({pick.where})" if pick.where else ""
                _print(f"    {pick.variant} = {pick.option}{where}")
    if options.coverage:
        coverage = template.coverage(kept)
        if options.json:
            _print(json.dumps(_coverage_values(coverage), ensure_ascii=False))
        else:
            _print(coverage)
    return 0


def _coverage_values(coverage: Any) -> dict[str, Any]:
    return {
        "samples": coverage.samples,
        "choices": [
            {
                "variant": one.label,
                "times": one.times,
                "options": [
                    {**option._asdict(), "never": option.never, "far": option.far(one.times)}
                    for option in one.options
                ],
            }
            for one in coverage.choices
        ],
    }


def _digits(count: int) -> str:
    """Write a number of any length; Python refuses more than 4,300 digits by itself."""
    if count < 10**4000:
        return str(count)
    digits = []
    while count:
        count, part = divmod(count, 10**4000)
        digits.append(str(part).zfill(4000))
    return "".join(reversed(digits)).lstrip("0")


def _print_reach(template: Template, options: argparse.Namespace) -> int:
    reach = template.reach()
    if options.json:
        values: dict[str, Any] = {"loras": reach.loras, "complete": reach.complete}
        values["tags"] = [tag._asdict() for tag in reach.tags]
        values["names"] = reach.names
        for key in ("wildcards", "missing", "variables", "undefined"):
            values[key] = [one._asdict() for one in getattr(reach, key)]
        _print(json.dumps(values, ensure_ascii=False, indent=2))
        return 0
    for tag in reach.tags:
        _print(f"tag        {tag.text}  ({tag.where})")
    for key in ("wildcards", "missing", "variables", "undefined"):
        for one in getattr(reach, key):
            _print(f"{key.removesuffix('s'):<10} {one.name}  ({one.where})")
    return 0


def _print_findings(findings: list[LintFinding], options: argparse.Namespace) -> int:
    if options.json:
        _print(json.dumps([one._asdict() for one in findings], ensure_ascii=False, indent=2))
    else:
        for one in findings:
            _print(one)
        errors = sum(one.severity == ERROR for one in findings)
        _print(
            f"{counted(errors, 'error')}, {counted(len(findings) - errors, 'warning')}",
            file=sys.stderr,
        )
    return int(any(one.severity == ERROR or options.strict for one in findings))
