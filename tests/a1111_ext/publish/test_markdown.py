"""Text of people and files stays text in what sites show as HTML."""

from __future__ import annotations

import pytest

from a1111_ext.publish.markdown import block, code, inline, require_safe_link, to_html
from kohya_ext.project import InputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("a|b `c` *d* [e](f)", r"a\|b \`c\` \*d\* \[e\](f)"),
        ("two\nlines\x1b[2J", r"two lines\\x1b\[2J"),
        ("R&D &lt;", "R&amp;D &amp;lt;"),
        ("Quillfox v1.5", "Quillfox v1.5"),
    ],
)
def test_a_value_is_one_line_of_plain_text(text: str, expected: str):
    assert inline(text) == expected


def test_backticks_do_not_end_a_code_span():
    assert code("a`b``c") == "```a`b``c```"
    assert code("`x`") == "`` `x` ``"
    assert code("plain") == "`plain`"


@pytest.mark.parametrize(
    "text",
    [
        "[x](javascript:alert(1))",
        "[x]( JaVaScRiPt:alert(1))",
        "[x](java&#115;cript:alert(1))",
        "[x](&#106;avascript&#58;alert(1))",
        "[x](<data:text/html;base64,xx>)",
        "[x][y]\n\n[y]: vbscript:x",
        "<javascript:alert(1)>",
        "![pic](file:///etc/passwd)",
    ],
)
def test_a_link_to_a_script_is_refused(text: str):
    with pytest.raises(InputError, match="LL640"):
        block(text, "publish.description")


def test_a_persons_markdown_stays_without_html():
    text = "**Soft** [source](https://x.example/a?b=1&c=2) <https://x.example> <b onload=x> 2 < 3"
    kept = block(text, "publish.description")
    assert kept.startswith("**Soft** [source](https://x.example/a?b=1&c=2) <https://x.example>")
    assert "<b" not in kept
    assert require_safe_link("docs/page.md", "x") == "docs/page.md"


@pytest.mark.parametrize(
    ("markdown", "markup"),
    [
        ("a **b** *c* `d<e>`", "<p>a <strong>b</strong> <em>c</em> <code>d&lt;e&gt;</code></p>"),
        ("# Title\ntext", "<p><strong>Title</strong></p>\n<p>text</p>"),
        ("- a\n- b\n\n1. c", "<ul><li>a</li><li>b</li></ul>\n<ol><li>c</li></ol>"),
        ("one\ntwo", "<p>one<br>two</p>"),
        ("2 * 3 * 4, snake_case_word", "<p>2 * 3 * 4, snake_case_word</p>"),
        (r"Quill\_fox \*", "<p>Quill_fox *</p>"),
        ("<script>x</script> & &lt;", "<p>&lt;script&gt;x&lt;/script&gt; &amp; &lt;</p>"),
        ("[a](javascript:x) b", "<p>a b</p>"),
        (
            "see https://example.org/a_b?x=1&y=2.",
            '<p>see <a href="https://example.org/a_b?x=1&amp;y=2" rel="nofollow">'
            "https://example.org/a_b?x=1&amp;y=2</a>.</p>",
        ),
        (
            '[a"b](https://example.org/"x)',
            '<p><a href="https://example.org/&quot;x" rel="nofollow">a&quot;b</a></p>',
        ),
    ],
)
def test_markdown_becomes_the_few_tags_that_sites_take(markdown: str, markup: str):
    assert to_html(markdown) == markup
