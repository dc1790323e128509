"""Text of people and files inside Markdown: it stays text, and no link leads to a script.

Sites show a description as HTML; a checkpoint's name or a description from elsewhere must not
become markup there. The little Markdown that descriptions need becomes the few tags that sites
take: p, strong, em, ul, ol, li, a, code, br.
"""

from __future__ import annotations

import html
import re

from kohya_ext.project import InputError
from kohya_ext.project.printable import printable

_MARKS = re.compile(r"([\\`*_\[\]|<>&])")
_LINK = re.compile(
    r"\]\s*\(\s*(?:<\s*)?(?P<inline>[^)\s>]*)"  # [text](target)
    r"|^\s{0,3}\[[^\[\]]*\]:\s*(?:<\s*)?(?P<reference>\S*)"  # [name]: target
    r"|<\s*(?P<auto>[a-z][a-z0-9+.-]{0,40}:[^<>\s]*)>",  # <target>
    re.IGNORECASE | re.MULTILINE,
)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_SAFE = frozenset({"http", "https", "mailto"})


def inline(text: str) -> str:
    """Return one line of plain text in which no letter has a meaning in Markdown or HTML."""
    plain = " ".join(printable(text).split())
    return _MARKS.sub(lambda found: _ESCAPED.get(found[1], f"\\{found[1]}"), plain)


_ESCAPED = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def code(text: str) -> str:
    """Return text as a code span, whatever backticks are in it."""
    plain = " ".join(printable(text).split())
    fence = "`" * (max((len(one) for one in re.findall("`+", plain)), default=0) + 1)
    padding = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{padding}{plain}{padding}{fence}"


def block(text: str, place: str) -> str:
    """Return Markdown that a person wrote, without HTML. Raises InputError for an unsafe link.

    `place` names where the text comes from, for the sentence.
    """
    for found in _LINK.finditer(text):
        require_safe_link(next(filter(None, found.groups()), ""), place)
    return re.sub(r"<(?!https?://|mailto:)", "&lt;", printable(text))


def require_safe_link(target: str, place: str) -> str:
    """Return a link that is relative or of http, https or mailto. Raises InputError otherwise."""
    plain = re.sub(r"[\x00-\x20]", "", html.unescape(target))  # as a browser reads it
    scheme = _SCHEME.match(plain)
    if scheme and scheme[1].lower() not in _SAFE:
        raise InputError(
            "LL640",
            f'{place} contains a link of the kind "{scheme[1].lower()}:", which sites refuse.',
            "Write a link that begins with https://, or remove it.",
        )
    return target


# -- to HTML ------------------------------------------------------------------------------------

_ITEM = re.compile(r"\s{0,3}(?:[-*+]|\d{1,3}[.)])\s+(.*)")
_NUMBERED = re.compile(r"\s{0,3}\d{1,3}[.)]\s")
_HEADING = re.compile(r"\s{0,3}#{1,6}\s+")
_SPAN = re.compile(
    r"(?<!`)(?P<code>`+)(?!`)(?P<inside>.+?)(?<!`)(?P=code)(?!`)"
    r"|\\(?P<escaped>[\\`*_\[\]|<>&#.!()+-])"
    r"|\[(?P<text>[^\[\]]*)\]\(\s*<?(?P<target>[^)\s>]{0,1000})>?[^)]{0,300}\)"
    r"|<(?P<auto>https?://[^<>\s]*)>"
    r"|(?P<bare>https?://[^\s<>()\[\]]*[^\s<>()\[\].,;:!?])"
    r"|\*\*(?P<strong>[^*]+)\*\*"
    r"|(?<![\w*])\*(?P<em>[^*\s](?:[^*]*[^*\s])?)\*(?![\w*])"
    r"|(?<!\w)_(?P<emphasis>[^_\s](?:[^_]*[^_\s])?)_(?!\w)"
    r"|&(?P<entity>lt|gt|amp);"
)


def to_html(markdown: str) -> str:
    """Return the HTML of a description, in the tags that sites take; all else stays text."""
    blocks = re.split(r"\n\s*\n", printable(markdown).strip())
    return "\n".join(_block_html(one.split("\n")) for one in blocks if one.strip())


def _block_html(lines: list[str]) -> str:
    done, at = [], 0
    while at < len(lines):
        start, kind = at, _kind_of(lines[at])
        while at < len(lines) and _kind_of(lines[at]) == kind:
            at += 1
        part = lines[start:at]
        if kind == "text":
            done.append(f"<p>{'<br>'.join(_span_html(one.strip()) for one in part)}</p>")
        elif kind == "heading":
            titles = (_span_html(_title(one)) for one in part)
            done += [f"<p><strong>{one}</strong></p>" for one in titles]
        else:
            items = (_span_html(_ITEM.sub(r"\1", one).strip()) for one in part)
            done.append(f"<{kind}>{''.join(f'<li>{one}</li>' for one in items)}</{kind}>")
    return "\n".join(done)


def _title(line: str) -> str:
    return _HEADING.sub("", line, count=1).rstrip().rstrip("#").rstrip()


def _kind_of(line: str) -> str:
    if _HEADING.match(line):
        return "heading"
    if _ITEM.match(line):
        return "ol" if _NUMBERED.match(line) else "ul"
    return "text"


def _span_html(text: str) -> str:
    parts, at = [], 0
    for found in _SPAN.finditer(text):
        parts += [html.escape(text[at : found.start()]), _one_span(found)]
        at = found.end()
    return "".join([*parts, html.escape(text[at:])])


def _one_span(found: re.Match[str]) -> str:
    part = found.groupdict()
    if part["inside"] is not None:
        return f"<code>{html.escape(part['inside'].strip())}</code>"
    if part["escaped"] is not None:
        return html.escape(part["escaped"])
    if part["entity"] is not None:
        return f"&{part['entity']};"
    if part["strong"] is not None:
        return f"<strong>{_span_html(part['strong'])}</strong>"
    emphasis = part["em"] or part["emphasis"]
    if emphasis is not None:
        return f"<em>{_span_html(emphasis)}</em>"
    target = part["auto"] or part["bare"] or part["target"] or ""
    shown = html.escape(part["auto"] or part["bare"] or part["text"] or "")
    if not target.startswith(("https://", "http://", "mailto:")):
        return shown
    return f'<a href="{html.escape(target, quote=True)}" rel="nofollow">{shown}</a>'
