"""A page in a frame of a gradio tab is as light or dark as the tab."""

from __future__ import annotations

import pytest
from chromium import kept_chromium

from kohya_ext.project.page_frame import page_frame
from kohya_ext.project.server import TYPES, PageAnswer, PageRequest, PageServer

pytestmark = pytest.mark.browser
PAGE = b"<!doctype html><style>:root { color-scheme: light dark }</style><p>Pictures"
DARK = "() => matchMedia('(prefers-color-scheme: dark)').matches"


class OnePage:
    """A share of one page that is light or dark as its reader prefers."""

    def answer(self, _: PageRequest) -> PageAnswer:
        return PageAnswer(body=PAGE, content_type=TYPES[".html"])


def test_a_page_follows_the_theme_of_its_tab():
    """Whatever the system prefers: gradio has looked at that, and at ?__theme=, before."""
    context = kept_chromium().new_context(color_scheme="null")  # an emulated one covers frames
    with PageServer() as server:
        url = server.url_of(OnePage(), "page.html")
        page = context.new_page()
        page.set_content(f"<!doctype html>{page_frame(url, 'Board', 300)}")
        page.frame_locator("iframe").get_by_text("Pictures").wait_for()
        (_, frame) = page.frames
        assert not frame.evaluate(DARK)
        page.evaluate("() => document.body.classList.add('dark')")
        frame.wait_for_function(DARK)
        assert frame.evaluate("() => getComputedStyle(document.body).color") == "rgb(255, 255, 255)"
        page.evaluate("() => document.body.classList.remove('dark')")
        frame.wait_for_function(f"() => !({DARK})()")
    context.close()
