"""The script "LoRA epoch grid" of txt2img: reads its boxes, draws, returns grid and cells."""

from __future__ import annotations

import random
from html import escape
from typing import Any

from modules import scripts

from kohya_ext.project import ToolError

from .request import GridOptions

TITLE = "LoRA epoch grid"


class Refusal(ToolError):
    """An error of ours; the host shows its class's name and its sentence."""


Refusal.__name__ = TITLE


class EpochGridScript(scripts.Script):  # type: ignore[misc]  # the host's class, untyped
    """Selectable in txt2img; the LoRA to compare is the one in the prompt."""

    _prompt: Any = None

    def title(self) -> str:
        """Return what stands in the host's list of scripts."""
        return TITLE

    def show(self, is_img2img: bool) -> bool:
        """Offer it in txt2img only."""
        return not is_img2img

    def ui(self, is_img2img: bool) -> list[Any]:
        """Build the boxes; their values come to `run` in this order."""
        import gradio

        gradio.HTML(
            "<p>Compares the epochs of the LoRA in your prompt, for example "
            "<code>&lt;lora:Quillfox-000004:1&gt;</code>. Its other epochs are found beside that "
            "file. One row for each epoch, one column for each seed; the same seeds for all. "
            "The page's own Seed, Batch count and Batch size are not used.</p>"
        )
        seeds = gradio.Textbox(
            label="Seeds of the grid",
            value=GridOptions.seeds,
            info="-1 is a random one, drawn once for all epochs. Also 5, 7 or 10-12.",
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
            info="Only needed when the prompt names more than one LoRA with epochs.",
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
            info="One a line, values as in X/Y/Z plot: LoRA weight=0.6,0.8,1; Checkpoint name=a,b; "
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
        self._add_count(gradio, [seeds, epochs, lora, control, axes])
        return [seeds, epochs, lora, control, with_cells, axes]

    def after_component(self, component: Any, **options: Any) -> None:
        """Remember the page's prompt box, for the count of pictures."""
        if options.get("elem_id") == "txt2img_prompt":
            self._prompt = component

    def _add_count(self, gradio: Any, boxes: list[Any]) -> None:
        """Show how many pictures the grid has, and how long they take, before Generate."""
        if self._prompt is None:
            return
        button = gradio.Button("Count the pictures", elem_id=self.elem_id("count"))
        said = gradio.HTML("", elem_id=self.elem_id("counted"))
        inputs = [self._prompt, *boxes]
        button.click(count_pictures, inputs, [said])
        for box in boxes:
            listen = getattr(box, "blur", None) or box.change  # not at every letter
            listen(count_pictures, inputs, [said])

    def run(
        self,
        p: Any,
        seeds: str,
        epochs: str,
        lora: str,
        control: bool,
        with_cells: bool,
        axes: str = "",
    ) -> Any:
        """Draw the grid; raises ToolError, which the host shows under the gallery."""
        try:
            return self._draw(p, GridOptions(epochs, seeds, control, axes), lora, with_cells)
        except ToolError as error:
            raise Refusal(error.code, error.problem, error.cure) from error

    def _draw(self, p: Any, options: GridOptions, lora: str, with_cells: bool) -> Any:
        from ..grids.runner import GridStore
        from .backend import read_capabilities
        from .gallery import draw_for_gallery
        from .grid import find_epochs, plan_page_grid
        from .settings import lora_folders, own_folder, wildcards
        from .txt2img import read_page

        page = read_page(p)
        found = find_epochs(page.prompt, lora_folders(), lora.strip())
        store = GridStore(own_folder(), wildcards())
        grid = plan_page_grid(page, found, options, store, read_capabilities(), random.Random())
        return draw_for_gallery(p, grid, store, options, with_cells)


def count_pictures(
    prompt: str, seeds: str, epochs: str, lora: str, control: bool, axes: str
) -> str:
    """Return the count as HTML, or why there is none."""
    from ..grids.runner import GridStore
    from .grid import describe_page_grid
    from .settings import lora_folders, own_folder, wildcards

    try:
        said = describe_page_grid(
            prompt,
            lora_folders(),
            lora.strip(),
            GridOptions(epochs, seeds, control, axes),
            GridStore(own_folder(), wildcards()),
        )
    except ToolError as error:
        said = str(error)
    except Exception as error:  # noqa: BLE001  # a callback of the host: nobody above can show it
        said = f"{type(error).__name__}: {error}"
    return f"<p>{escape(said)}</p>"
