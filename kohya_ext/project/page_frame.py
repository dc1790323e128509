"""The frame in which a gradio tab shows one of our pages, as light or dark as the tab itself."""

from __future__ import annotations

from html import escape

_STYLE = (
    "<style>.loraloom-page { width: 100%; border: 1px solid #8884; color-scheme: light }"
    ".dark .loraloom-page { color-scheme: dark }</style>"
)
"""gradio marks its dark theme by a class, whoever asked for it. What a page prefers follows the
`color-scheme` of its frame, from another origin, too (CSS Color Adjustment, 2.4)."""


def page_frame(address: str, title: str, pixels: int) -> str:
    """Return the frame of a page, at most `pixels` high, loaded when it comes into view."""
    return (
        f'{_STYLE}<iframe src="{escape(address)}" title="{escape(title)}" class="loraloom-page" '
        f'loading="lazy" style="height:min({pixels}px, 94vh)"></iframe>'
    )
