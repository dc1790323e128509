"""The section "Dynamic prompts (loraloom)" of txt2img and img2img: templates in the prompt box."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from typing import Any

from modules import scripts, shared

from dynprompts import WildcardLibrary, lint_text
from kohya_ext.project import ToolError

from .dynamic import Page, PromptOptions, PromptPlan, plan_prompts, read_boxes_of
from .request import NOT_DRAWN

TITLE = "Dynamic prompts (loraloom)"
_MOST_HINTS = 5
OTHERS = "dynamic prompts v"
"""How the title of the extension that we leave the prompt to begins."""

_log = logging.getLogger(__name__)


class DynamicPromptsScript(scripts.Script):  # type: ignore[misc]  # the host's class, untyped
    """Always there, switched off until its box is ticked."""

    def title(self) -> str:
        """Return the name under which the API finds it."""
        return TITLE

    def show(self, is_img2img: bool) -> Any:
        """Stand on both pages."""
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        """Build the boxes, in the order of PromptOptions."""
        import gradio

        with gradio.Accordion(TITLE, open=False, elem_id=self.elem_id("section")):
            enabled = gradio.Checkbox(
                label="Draw the prompt as a template",
                value=False,
                elem_id=self.elem_id("enabled"),
                info="{red|blue}, __wildcard__, ${name=value}: see docs/dynprompts.md",
            )
            combinatorial = gradio.Checkbox(
                label="All combinations", value=False, elem_id=self.elem_id("combinatorial")
            )
            most = gradio.Number(
                label="Combinations at most", value=0, precision=0, elem_id=self.elem_id("most"),
                info="0 draws all of them; Batch count is not used",
            )  # fmt: skip
            fixed = gradio.Checkbox(
                label="Fixed seed", value=False, elem_id=self.elem_id("fixed"),
                info="the same seed for all pictures; the prompts still differ",
            )  # fmt: skip
            unlinked = gradio.Checkbox(
                label="Unlink seed from prompt", value=False, elem_id=self.elem_id("unlinked")
            )
            negative = gradio.Checkbox(
                label="Negative prompt, too", value=True, elem_id=self.elem_id("negative")
            )
            no_repeats = gradio.Checkbox(
                label="No option twice in one prompt", value=False,
                elem_id=self.elem_id("no_repeats"),
            )  # fmt: skip
        return [enabled, combinatorial, most, fixed, unlinked, negative, no_repeats]

    def process(self, p: Any, *values: Any) -> None:
        """Replace the page's prompts by drawn ones, before the host draws the first picture."""
        try:
            self._draw_prompts(p, values)
        except ToolError as error:
            _draw_nothing(p, str(error))
        except Exception as error:  # noqa: BLE001  # the host would draw the template letter by letter
            _log.exception("loraloom: the prompt could not be drawn")
            _draw_nothing(p, f"The prompt could not be drawn: {type(error).__name__}: {error}")

    def _draw_prompts(self, p: Any, values: Sequence[Any]) -> None:
        from .settings import prompt_library

        options = read_boxes_of(TITLE, values)
        if not options.enabled:
            return
        if other := _title_of_another(p):
            p.comment(f"{other} is switched on; {TITLE} leaves the prompt to it.")
            return
        page, library = page_of(p), prompt_library()
        plan = plan_prompts(page, options, library, random.getrandbits(32))
        if plan is not None:
            apply_plan(p, plan)
            for hint in hints_of(page, options, library):
                p.comment(hint)

    def process_batch(self, p: Any, *values: Any, **about: Any) -> None:
        """Correct what the host takes to be the same in every batch."""
        if getattr(p, "loraloom_prompts", None):
            fit_last_batch(p)
            correct_second_pass(p)

    def postprocess_batch(self, p: Any, *values: Any, **about: Any) -> None:
        """Correct it once more: Forge and Forge Neo write theirs when the second pass begins."""
        if getattr(p, "loraloom_prompts", None):
            correct_second_pass(p)


def _draw_nothing(p: Any, sentence: str) -> None:
    """Say why below the pictures, and in the infotext that the API answers without any.

    For an error the host would only write to its console, and draw the template letter by letter.
    """
    p.comment(sentence)
    p.extra_generation_params[NOT_DRAWN] = sentence
    shared.state.interrupt()


def hints_of(page: Page, options: PromptOptions, library: WildcardLibrary) -> list[str]:
    """Return what in the templates is probably not intended, for below the pictures."""
    texts = [page.prompt, page.negative] if options.negative else [page.prompt]
    found = [one for text in texts for one in lint_text(text, library, follow=False)]
    return [one.sentence for one in found[:_MOST_HINTS]]


def _title_of_another(p: Any) -> str:
    """Return the title of the other extension where it is switched on."""
    for script in p.scripts.alwayson_scripts:
        title = str(script.title())
        is_other = title.lower().startswith(OTHERS)
        if is_other and script.args_to > script.args_from and p.script_args[script.args_from]:
            return title
    return ""


def page_of(p: Any) -> Page:
    """Return what the host is about to draw."""
    return Page(
        prompt=p.all_prompts[0],
        negative=p.all_negative_prompts[0],
        seed=int(p.all_seeds[0]),
        subseed=int(p.all_subseeds[0]),
        subseed_strength=float(p.subseed_strength or 0),
        pictures=len(p.all_prompts),
        batch_size=int(p.batch_size),
        hires=(getattr(p, "all_hr_prompts", None) or [""])[0],
        hires_negative=(getattr(p, "all_hr_negative_prompts", None) or [""])[0],
    )


def apply_plan(p: Any, plan: PromptPlan) -> None:
    """Put the drawn prompts where the host takes them from."""
    p.all_prompts, p.all_negative_prompts = list(plan.prompts), list(plan.negatives)
    p.all_seeds, p.all_subseeds = list(plan.seeds), list(plan.subseeds)
    p.n_iter = plan.batch_count
    if getattr(p, "all_hr_prompts", None):
        p.all_hr_prompts = list(plan.hires)
        p.all_hr_negative_prompts = list(plan.hires_negatives)
    p.extra_generation_params.update(plan.fields)
    if any(plan.picks):
        p.extra_generation_params["Template picks"] = per_picture(plan.picks)
    p.loraloom_prompts = plan.prompts
    if hasattr(p, "_all_prompts_c"):  # Forge Neo's "Save Raw Comments" writes these instead
        p._all_prompts_c, p._all_negative_prompts_c = list(plan.prompts), list(plan.negatives)


def fit_last_batch(p: Any) -> None:
    """Cut img2img's picture, which the host repeats for a full batch, to a last one that is not."""
    for name in ("init_latent", "image_conditioning"):
        repeated = getattr(p, name, None)
        if repeated is not None and len(repeated) > len(p.prompts):
            setattr(p, name, repeated[: len(p.prompts)])


def correct_second_pass(p: Any) -> None:
    """Write each picture's own second prompts: the host writes those of the first batch to all."""
    if not getattr(p, "all_hr_prompts", None):
        return
    for field, drawn, others, default in (
        ("Hires prompt", p.all_hr_prompts, p.all_prompts, p.hr_prompt),
        (
            "Hires negative prompt",
            p.all_hr_negative_prompts,
            p.all_negative_prompts,
            p.hr_negative_prompt,
        ),
    ):
        own = ["" if one == two else one for one, two in zip(drawn, others, strict=True)]
        p.extra_generation_params[field] = per_picture(own, default)


def per_picture(texts: Sequence[str], of_grid: str = "") -> Callable[..., str | None]:
    """Return what the host calls for an infotext field that differs from picture to picture.

    It would look up a list by the place within the batch, also in later batches.
    """

    def text_of(
        p: Any, index: int, all_prompts: Any, use_main_prompt: bool = False, **about: Any
    ) -> str | None:
        if use_main_prompt:
            return of_grid or None
        first = 0 if all_prompts is p.all_prompts else p.iteration * p.batch_size
        return texts[first + index] or None

    return text_of
