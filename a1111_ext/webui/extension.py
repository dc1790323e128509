"""How loraloom enters A1111 and Forge: a script, a tab, settings and routes, each on its own.

Whatever breaks in one of them is said on the console and on the tab; the host starts anyway.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from html import escape
from typing import Any

LABEL = "loraloom"

_log = logging.getLogger(__name__)


def load_extension() -> tuple[type, ...]:
    """Register the tab, the settings and the routes; return the script classes."""
    problems: list[str] = []
    _register("ui_settings", _guarded("settings", add_settings, problems))
    routes, reviews = (
        _guarded("routes", add_routes, problems),
        _guarded("reviews", resume, problems),
    )
    _register("app_started", lambda *given: (routes(*given), reviews(*given)))
    _register("ui_tabs", lambda: [(build_tab(problems), LABEL, "loraloom")])
    grids = _guarded("script", load_scripts, problems)() or ()
    prompts = _guarded("dynamic prompts", load_dynamic_prompts, problems)() or ()
    return (*grids, *prompts)


def _register(category: str, callback: Callable[..., Any]) -> None:
    """Register a callback as the host's `on_...` does.

    It would look through the whole stack for our file's name, which costs 20 ms each time.
    """
    from modules import script_callbacks

    try:
        callbacks = script_callbacks.callback_map[f"callbacks_{category}"]
        script_callbacks.add_callback(callbacks, callback, category=category, filename=__file__)
    except (AttributeError, KeyError, TypeError):  # a host before v1.9
        getattr(script_callbacks, f"on_{category}")(callback)


def _guarded(part: str, work: Callable[..., Any], problems: list[str]) -> Callable[..., Any]:
    """Make `work` a callback that never raises; what went wrong is kept for the tab."""

    def call(*arguments: Any) -> Any:
        try:
            return work(*arguments)
        except Exception as error:  # noqa: BLE001  # a broken part must not break the host
            problems.append(say_broken(part, error))
            return None

    return call


def say_broken(part: str, error: Exception) -> str:
    """Write where `part` broke to the console; return the sentence for the tab."""
    sentence = f"The {part} of loraloom could not be built: {type(error).__name__}: {error}"
    _log.error("loraloom: %s\n%s", sentence, traceback.format_exc())
    return sentence


def load_scripts() -> tuple[type, ...]:
    """Return the classes of the scripts that draw cells: epoch grid and showcase."""
    from .script import EpochGridScript, ShowcaseScript

    return EpochGridScript, ShowcaseScript


def load_dynamic_prompts() -> tuple[type, ...]:
    """Return the class of the script that draws the templates of the prompt box."""
    from .dynamic_script import DynamicPromptsScript

    return (DynamicPromptsScript,)


def add_settings() -> None:
    """Add the section "loraloom" to the host's settings."""
    from .settings import add_settings as add

    add()


def add_routes(_: Any, app: Any) -> None:
    """Add the routes under /loraloom/v1 when the host serves an API at all."""
    from .routes import add_routes as add

    add(app)


def resume(*_: Any) -> None:
    """Continue with what was started in the tab before the host ended."""
    from .settings import own_folder

    if not (own_folder() / "started-reviews.json").is_file():  # most starts need no more
        return
    from .reviews import resume_reviews

    resume_reviews()


def build_tab(problems: list[str]) -> Any:
    """Build the tab; one that cannot be built says so in its place.

    Routes are built after the tab, so the problems are read when the page is loaded.
    """
    import gradio

    def said() -> str:
        if not problems:
            return ""
        lines = "".join(f"<p><b>{escape(one)}</b></p>" for one in problems)
        return f"{lines}<p>The console shows where. Everything else works.</p>"

    try:
        from .tab import fill_tab

        with gradio.Blocks(analytics_enabled=False) as blocks:
            gradio.HTML(said)
            fill_tab(blocks)
        return blocks
    except Exception as error:  # noqa: BLE001  # the host builds all tabs in one go
        problems.append(say_broken("tab", error))
    with gradio.Blocks(analytics_enabled=False) as blocks:
        gradio.HTML(said)
    return blocks
