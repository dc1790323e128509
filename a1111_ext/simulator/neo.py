"""What Forge Neo does otherwise than A1111, as measured on neo-2.26.

It leaves out of infotexts what it takes for granted, has no latent upscalers, takes VAE and text
encoders as one list of modules, and draws the second pass with a CFG scale of 1 unless told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from ..api.embeddings import find_embeddings
from ..api.infotext import Infotext
from .cards import Card
from .host import SimulatedHost
from .models import LoraFile, read_lora_file
from .refusal import HttpRefusal

USUAL_CLIP_SKIP = 2
Uses = list[tuple[str, float, LoraFile]]


@dataclass
class SimulatedNeo(SimulatedHost):
    """A simulated Forge Neo; `modules` are files below models/, VAE/ and text_encoder/.

    `is_sd1` tells of which kind its checkpoints are: clip skip is named for SD 1.x only. With a
    `size_step` it rounds sizes to its multiples, as one redistribution does to 64; one that
    `hashes_late` knows a checkpoint's hash once it has drawn with it.
    """

    version: str = "neo-2.26"
    modules: tuple[str, ...] = ()
    more_lora_dirs: tuple[Path, ...] = ()
    is_sd1: bool = True
    size_step: int = 1
    hashes_late: bool = False
    _drawn_with: set[str] = field(default_factory=set)
    _second_pass: tuple[object, str] = ((), "")
    """Of which request the text encoder made something for Hires. fix last, and what."""

    def options(self) -> dict[str, Any]:
        chosen = self._data.get("forge_additional_modules", [])
        skip = self._data.get("CLIP_stop_at_last_layers", USUAL_CLIP_SKIP)
        more = {"forge_additional_modules": chosen, "CLIP_stop_at_last_layers": skip}
        return {**super().options(), **more}

    def cmd_flags(self) -> dict[str, Any]:
        return {**super().cmd_flags(), "lora_dirs": [str(one) for one in self.more_lora_dirs]}

    def latent_upscale_modes(self) -> list[dict[str, Any]]:
        return []

    def upscalers(self) -> list[dict[str, Any]]:
        return [{"name": name, "scale": 4.0} for name in ("None", "ESRGAN")]

    def sd_modules(self) -> Any:
        folder = self.folder.absolute() / "models"
        return [
            {"model_name": PurePath(one).name, "filename": str(folder / one)}
            for one in self.modules
        ]

    def refresh_loras(self) -> None:
        folders, own = (*getattr(self, "more_lora_dirs", ()),), self.lora_dir
        super().refresh_loras()
        for folder in folders:
            if folder != own:
                self._listed.update(self._read_loras(folder))

    def _read(self, path: Path) -> LoraFile | None:
        return read_lora_file(path, whole=True)

    def unload_checkpoint(self) -> dict[str, Any]:
        """Forget what the model was patched with, unlike A1111."""
        self._applied = []
        return super().unload_checkpoint()

    def sd_models(self) -> list[dict[str, Any]]:
        unknown = {"hash": None, "sha256": None}
        return [
            row
            if row["model_name"] in self._drawn_with or not self.hashes_late
            else {**row, **unknown, "title": row["title"].partition(" [")[0]}
            for row in super().sd_models()
        ]

    def _draw(self, body: dict[str, Any], sources: list[str] | None) -> dict[str, Any]:
        step = self.size_step
        sizes = {name: int(body.get(name, 512) / step + 0.5) * step for name in ("width", "height")}
        self._drawn_with.add(self._loaded)
        return super()._draw({**body, **sizes}, sources)

    def _refuse_nonsense(self, body: dict[str, Any], sources: list[str] | None) -> None:
        if body.get("enable_hr") and not body.get("hr_upscaler"):
            raise HttpRefusal(500, "ValueError", 'Could not find upscaler named "None"')
        vae = (body.get("override_settings") or {}).get("sd_vae")  # it takes a name for a path
        if vae not in (None, "None") and not Path(str(vae)).is_file():
            raise HttpRefusal(500, "RuntimeError", "Failed to load model...")
        super()._refuse_nonsense(body, sources)

    def _overridden(self, body: dict[str, Any], sources: list[str] | None) -> dict[str, Any]:
        """Take modules by their whole names only; others are dropped with status 200."""
        settings = dict(body.get("override_settings") or {})
        if _MODULES in settings:
            known = {PurePath(one).name for one in self.modules}
            chosen = [one for one in settings[_MODULES] if PurePath(str(one)).name in known]
            body = {**body, "override_settings": {**settings, _MODULES: chosen}}
        return super()._overridden(body, sources)

    def _card(self, body: dict[str, Any], seed: int, uses: Uses, sources: list[str] | None) -> Card:
        """Draw the second pass with its own CFG scale, and with the conditions of before.

        They are kept by prompt, LoRA names and weights, whatever is in the files.
        """
        if body.get("enable_hr"):
            asked = (str(body.get("prompt")), [use[:2] for use in uses])
            if asked != self._second_pass[0]:
                self._second_pass = asked, ", ".join(one.hash for *_, one in uses)
            body = {"hr_cfg": 1.0, **body, "second pass": self._second_pass[1]}
        return super()._card(body, seed, uses, sources)

    def _infotext(self, body: dict[str, Any], seed: int, uses: Uses) -> Infotext:
        made = super()._infotext(body, seed, uses)
        fields = {name: one for name, one in made.fields.items() if name not in _NEVER}
        if self.is_sd1:
            skip = self._data.get("CLIP_stop_at_last_layers", USUAL_CLIP_SKIP)
            fields["Clip skip"] = f"{skip:g}"
        for number, path in enumerate(self._data.get("forge_additional_modules") or (), start=1):
            fields[f"Module {number}"] = PurePath(str(path)).stem
        if body.get("enable_hr"):
            fields["Hires CFG Scale"] = str(float(body.get("hr_cfg", 1.0)))
        if found := find_embeddings(f"{made.prompt}\n{made.negative_prompt}", self.embeddings):
            fields["TI"] = ", ".join(found)
        return Infotext(made.prompt, made.negative_prompt, {**fields, "RNG": "CPU"})


_MODULES = "forge_additional_modules"
_NEVER = frozenset({"VAE", "Clip skip", "TI hashes"})
