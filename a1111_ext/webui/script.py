"""The script "LoRA epoch grid" of txt2img: reads its boxes, draws, returns grid and cells."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from modules import scripts

from kohya_ext.project import ToolError

from .request import (
    GridOptions,
    ShowcaseOptions,
    read_grid_boxes,
    read_showcase_boxes,
)

TITLE = "LoRA epoch grid"
SHOWCASE_TITLE = "LoRA showcase"


class _Txt2imgScript(scripts.Script):  # type: ignore[misc]  # the host's class, untyped
    """A script of txt2img alone, which counts its pictures before Generate."""

    _prompt: Any = None

    def show(self, is_img2img: bool) -> bool:
        """Offer it in txt2img only."""
        return not is_img2img

    def run(self, p: Any, *values: Any) -> Any:
        """Draw what the boxes ask for; what is wrong with it is one sentence, without a trace.

        The host would write a trace to its console for whatever is raised here, but for a
        refusal that its API answers.
        """
        try:
            return self.draw(p, self._given(p, values))
        except ToolError as error:
            return _refused(p, self.title(), error)

    def draw(self, p: Any, values: Sequence[Any]) -> Any:
        """Draw with the values of the boxes and return the host's `Processed`."""
        raise NotImplementedError

    def _given(self, p: Any, values: Sequence[Any]) -> Sequence[Any]:
        """Return the arguments that a caller of the host's API gave, which may not be ours alone.

        The API puts however many there are in the place of ours: with fewer of them the values of
        the script behind this one come to us, with more of them the last ones do not.
        """
        known = [one.args_to for one in p.scripts.scripts if one.args_to is not None]
        if not getattr(p, "is_api", False) or self.args_to is None or not known:
            return values
        more = len(p.script_args) - max(known)
        given: Sequence[Any] = p.script_args[self.args_from : self.args_to + more]
        return given

    def after_component(self, component: Any, **options: Any) -> None:
        """Remember the page's prompt box, for the count of pictures."""
        if options.get("elem_id") == "txt2img_prompt":
            self._prompt = component

    def _add_count(self, boxes: list[Any], count: Callable[..., str]) -> None:
        """Show how many pictures come, and how long they take, before Generate."""
        import gradio

        if self._prompt is None:
            return
        button = gradio.Button("Count the pictures", elem_id=self.elem_id("count_pictures"))
        said = gradio.HTML("", elem_id=self.elem_id("counted"))
        inputs = [self._prompt, *boxes]
        button.click(count, inputs, [said])
        for box in boxes:
            listen = getattr(box, "blur", None) or box.change  # not at every letter
            listen(count, inputs, [said])


class EpochGridScript(_Txt2imgScript):
    """Selectable in txt2img; the LoRA to compare is the one in the prompt."""

    def title(self) -> str:
        """Return what is in the host's list of scripts."""
        return TITLE

    def ui(self, is_img2img: bool) -> list[Any]:
        """Build the boxes; their values come to `run` in this order."""
        import gradio

        gradio.HTML(
            "<p>Compares the epochs of the LoRA in your prompt, for example "
            "<code>&lt;lora:Quillfox-000004:1&gt;</code>. Its other epochs are found in the same "
            "folder. One row per epoch, one column per seed, the same seeds for all. The page's "
            "own Seed, Batch count and Batch size are not used.</p>"
        )
        seeds = gradio.Textbox(
            label="Seeds of the grid",
            value=GridOptions.seeds,
            info="-1 is a random seed, shared by all epochs. Or for example 5, 7, 10-12.",
            elem_id=self.elem_id("seeds"),
        )
        epochs = gradio.Textbox(
            label="Epochs",
            value=GridOptions.epochs,
            info="all, or for example 2, 4, 8-20 (+4), last",
            elem_id=self.elem_id("epochs"),
        )
        lora = gradio.Textbox(
            label="LoRA",
            value="",
            placeholder="the one in the prompt",
            info="Only needed if the prompt contains more than one LoRA with epochs.",
            elem_id=self.elem_id("lora"),
        )
        control = gradio.Checkbox(
            label="First a row without the LoRA",
            value=GridOptions.control,
            elem_id=self.elem_id("control"),
        )
        axes = gradio.Textbox(
            label="Further axes",
            value="",
            lines=2,
            placeholder="CFG Scale=5,7",
            info="One per line, as in X/Y/Z plot: LoRA weight=0.6,0.8,1; Checkpoint name=a,b; "
            "Prompt S/R=red,blue; Sampler, Schedule type, Steps, CFG Scale, Size, Clip skip, VAE, "
            "Prompt, Negative prompt, Hires upscaler, Denoising and others.",
            elem_id=self.elem_id("axes"),
        )
        with_cells = gradio.Checkbox(
            label="Show the single pictures, too", value=True, elem_id=self.elem_id("with_cells")
        )
        self.infotext_fields = [
            (seeds, "Grid seeds"),
            (epochs, "Grid epochs"),
            (control, "Grid without LoRA"),
            (axes, "Grid axes"),
        ]
        self._add_count([seeds, epochs, lora, control, axes], count_pictures)
        return [seeds, epochs, lora, control, with_cells, axes]

    def draw(self, p: Any, values: Sequence[Any]) -> Any:
        """Draw the grid; raises ToolError."""
        from ..grids.grid import GridStore
        from .backend import read_capabilities
        from .gallery import draw_for_gallery
        from .grid import find_epochs, plan_page_grid
        from .settings import lora_folders, own_folder, prompt_library
        from .txt2img import read_page

        options, lora, with_cells = read_grid_boxes(TITLE, values)
        page = read_page(p)
        found = find_epochs(page.prompt, lora_folders(), lora)
        store = GridStore(own_folder(), prompt_library())
        grid = plan_page_grid(page, found, options, store, read_capabilities(), random.Random())
        return draw_for_gallery(p, grid, store, options, with_cells)


class ShowcaseScript(_Txt2imgScript):
    """Selectable in txt2img; draws the prompt as a template over several checkpoints."""

    def title(self) -> str:
        """Return what is in the host's list of scripts."""
        return SHOWCASE_TITLE

    def ui(self, is_img2img: bool) -> list[Any]:
        """Build the boxes; their values come to `run` in this order."""
        import gradio
        from modules import sd_models

        gradio.HTML(
            "<p>Shows a LoRA: your prompt is a template such as "
            "<code>&lt;lora:quillfox-v1:0.8&gt; photo of Quillfox, {smiling|calm}</code>, drawn "
            "over several checkpoints. Seeds count up from the page's Seed; size, sampler, styles "
            "and Hires. fix are the page's. With a project its promoted LoRA is shown as "
            "<code>{lora}</code>, its settings per checkpoint override the page, and the pictures "
            "are saved in its showcase folder.</p>"
        )
        project = gradio.Textbox(
            label="Project",
            value="",
            placeholder="none",
            info="Name or folder of a project in Settings, section loraloom. Without a prompt, "
            "the project's template is drawn.",
            elem_id=self.elem_id("project"),
        )
        checkpoints = gradio.Dropdown(
            list(sd_models.checkpoints_list),
            value=[],
            label="Checkpoints (none: the loaded one)",
            multiselect=True,
            elem_id=self.elem_id("checkpoints"),
        )
        count = gradio.Slider(
            minimum=1,
            maximum=200,
            step=1,
            value=ShowcaseOptions.count,
            label="Pictures per checkpoint",
            elem_id=self.elem_id("count"),
        )
        unlinked = gradio.Checkbox(
            label="Unlink seed from prompt: a different prompt for each checkpoint",
            value=ShowcaseOptions.unlinked,
            elem_id=self.elem_id("unlinked"),
        )
        balanced = gradio.Checkbox(
            label="Balanced: every option of the template is drawn equally often",
            value=ShowcaseOptions.balanced,
            elem_id=self.elem_id("balanced"),
        )
        boxes = [project, checkpoints, count, unlinked, balanced]
        self._add_count(boxes, count_showcase)
        return boxes

    def draw(self, p: Any, values: Sequence[Any]) -> Any:
        """Draw the showcase; raises ToolError."""
        from .showcase import draw_showcase
        from .txt2img import read_page, read_seed

        options = read_showcase_boxes(SHOWCASE_TITLE, values)
        return draw_showcase(p, _plan_showcase(read_page(p), read_seed(p), options))


def _refused(p: Any, title: str, error: ToolError) -> Any:
    """Say why nothing is drawn: below the pictures of the page, or as the API's answer."""
    if getattr(p, "is_api", False):
        from fastapi import HTTPException

        # the name of its class is what A1111 and Forge call the error
        refusal = type(title, (HTTPException,), {"__str__": lambda self: str(self.detail)})
        raise refusal(status_code=422, detail=str(error)) from error
    from modules import processing

    p.comment(f"{title}: {error}")
    return processing.Processed(p, [], seed=-1, info="")


def _plan_showcase(
    page: Any, seed: int, options: ShowcaseOptions, *, is_count: bool = False
) -> Any:
    from ..grids.grid import GridStore
    from .settings import own_folder, project_folders, prompt_library
    from .showcase import plan_showcase

    own = GridStore(own_folder(), prompt_library())
    rng = random.Random()
    return plan_showcase(page, seed, options, project_folders(), own, rng, is_count=is_count)


def count_showcase(prompt: str, *boxes: Any) -> str:
    """Return the count of a showcase's pictures as HTML, or why there is none."""

    def describe() -> str:
        from ..cells.cell import Cell
        from .showcase import describe_showcase

        page = Cell(prompt, 0)
        options = read_showcase_boxes(SHOWCASE_TITLE, boxes)
        return describe_showcase(_plan_showcase(page, 1, options, is_count=True))

    return _said(describe)


def _said(describe: Callable[[], str]) -> str:
    """Return what a function says as HTML, or what went wrong with it."""
    try:
        said = describe()
    except ToolError as error:
        said = str(error)
    except Exception as error:  # noqa: BLE001  # a callback of the host: nobody above can show it
        said = f"{type(error).__name__}: {error}"
    return f"<p>{escape(said)}</p>"


def count_pictures(prompt: str, *boxes: Any) -> str:
    """Return the count as HTML, or why there is none; `boxes` are all but the one for cells."""
    from ..grids.grid import GridStore
    from .grid import describe_page_grid
    from .settings import lora_folders, own_folder, prompt_library

    def describe() -> str:
        options, lora, _ = read_grid_boxes(TITLE, [*boxes[:4], True, *boxes[4:]])
        store = GridStore(own_folder(), prompt_library())
        return describe_page_grid(prompt, lora_folders(), lora, options, store)

    return _said(describe)
