"""What the simulated WebUI does with a request, silent mistakes of the real one included.

Unknown checkpoints, LoRAs, samplers and schedulers are ignored with status 200, as measured on
v1.10.1; a LoRA of another architecture leaves the picture as it was.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kohya_ext.project.files import sha256_of

from ..api.infotext import Infotext, format_infotext
from ..api.lora_tags import hashed_as, lora_tags
from .asked import SAMPLERS, SCHEDULERS, added_fields, drawn_fields, written_fields
from .cards import USUAL, Card, Course, draw_card, encode_png, half_drawn
from .faults import Counters, Faults
from .models import CheckpointFiles, KeptFiles, LoraFile, read_lora_file
from .refusal import HttpRefusal
from .tasks import Tasks
from .upscalers import enlarge
from .xyz import draw_plot, script_info

UPSCALERS = ("None", "Lanczos", "Nearest", "R-ESRGAN 4x+")
LATENT = ("Latent", "Latent (nearest)", "Latent (bicubic)")
DEFAULT_CHECKPOINTS = ("simulated-a", "simulated-b")
VERSION = "v1.10.1"
DYNAMIC_PROMPTS = "dynamic prompts v2.17.1"


_DEFAULTS: dict[str, Any] = {
    "samples_format": "png",
    "CLIP_stop_at_last_layers": 1,
    "sd_vae": "Automatic",
    "enable_pnginfo": True,
    "lora_add_hashes_to_infotext": True,
    "add_model_hash_to_info": True,
    "add_model_name_to_info": True,
    "add_vae_name_to_info": True,
    "return_grid": True,
}
"""Options that GET /options shows even where config.json does not hold them."""

_NUMBERS = ("CLIP_stop_at_last_layers",)
"""Whole numbers that GET /options tells as reals, as it does of every number that is set."""

ALWAYS_ON = {"refiner": 3, "sampler": 3, "seed": 6}
"""Always-on scripts, and how many arguments each takes."""


@dataclass
class SimulatedHost:
    """One simulator: its models lie in `folder`, its LoRAs in `folder/models/Lora`.

    `held` are the options that its config.json holds: only those are put back after an override.
    `has_chosen` is False as in a fresh folder: no checkpoint is named before the first picture.
    `weights` are the listed upscalers whose weights are there; others do a plain resize.
    An interrupt is heard after `seconds_to_interrupt`: a real one ends with the next step.
    """

    folder: Path
    checkpoints: tuple[str, ...] = DEFAULT_CHECKPOINTS
    dynamic_prompts: bool = False
    seconds_per_picture: float = 0.0
    seconds_to_interrupt: float = 0.0
    always_on: dict[str, int] = field(default_factory=lambda: dict(ALWAYS_ON))
    held: tuple[str, ...] = ("samples_format", "sd_model_checkpoint")
    has_chosen: bool = True
    embeddings: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    version: str = VERSION
    counters: Counters = field(default_factory=Counters)
    faults: Faults = field(default_factory=Faults)
    course: Course = USUAL

    def __post_init__(self) -> None:
        self.tasks = Tasks()
        self._interrupted = threading.Event()
        self._job_count = self._job_no = 0
        self.lora_dir.mkdir(parents=True, exist_ok=True)
        self._loaded = self.checkpoints[0]
        self.files = CheckpointFiles(self.folder)
        self.files.load(self._loaded)
        models = self.folder / "models"
        self.vaes, self.nets = KeptFiles(models / "VAE"), KeptFiles(models / "hypernetworks")
        self._used_loras: tuple[str, ...] = ()
        self._applied: list[tuple[str, float, LoraFile]] = []
        self._listed: dict[str, LoraFile] = {}
        self._data: dict[str, Any] = {name: _DEFAULTS.get(name, self._loaded) for name in self.held}
        self.refresh_loras()
        self.counters.refreshes = 0

    @property
    def lora_dir(self) -> Path:
        """Where LoRA files are put."""
        return (self.folder / "models" / "Lora").absolute()

    # What it is and has

    def options(self) -> dict[str, Any]:
        chosen = str(self._data.get("sd_model_checkpoint", ""))
        name = self._checkpoint(chosen) or self._loaded
        digest = self.files.listed(name)
        title = self._title(name) if self.has_chosen else None
        if " [" in chosen and self._checkpoint(chosen) is None:
            title = chosen  # the name with the hash of a file that was replaced
        shown = {**_DEFAULTS, **self._data}
        numbers = {name: float(shown[name]) for name in _NUMBERS if name in self._data}
        return {**shown, **numbers, "sd_model_checkpoint": title, "sd_checkpoint_hash": digest}

    def _title(self, name: str) -> str:
        digest = self.files.listed(name)
        return f"{name}.safetensors [{digest[:10]}]" if digest else f"{name}.safetensors"

    def cmd_flags(self) -> dict[str, Any]:
        return {"lora_dir": str(self.lora_dir), "data_dir": str(self.folder), "simulated": True}

    def scripts(self) -> dict[str, Any]:
        extra = [DYNAMIC_PROMPTS] if self.dynamic_prompts else []
        names = ["prompt matrix", "x/y/z plot", *extra, *self.always_on]
        return {"txt2img": names, "img2img": names}

    def script_info(self) -> list[dict[str, Any]]:
        extra = {DYNAMIC_PROMPTS: 18} if self.dynamic_prompts else {}
        argument = {"label": "", "value": None, "choices": None}
        return script_info() + [
            {"name": name, "is_alwayson": True, "is_img2img": img2img, "args": [argument] * count}
            for name, count in {**extra, **self.always_on}.items()
            for img2img in (False, True)
        ]

    def extensions(self) -> list[dict[str, Any]]:
        names = ["Lora", *(["sd-dynamic-prompts"] if self.dynamic_prompts else [])]
        return [{"name": name, "enabled": True} for name in names]

    def upscalers(self) -> list[dict[str, Any]]:
        folder = self.folder.absolute() / "models" / "ESRGAN"
        paths = {name: folder / f"{name}.pth" for name in UPSCALERS}
        return [
            {"name": name, "scale": 4.0, "model_path": str(path) if path.exists() else None}
            for name, path in paths.items()
        ]

    def sd_vae(self) -> list[dict[str, Any]]:
        return self._named(self.vaes, lambda path: {"model_name": path.name, "filename": str(path)})

    def hypernetworks(self) -> list[dict[str, Any]]:
        return self._named(self.nets, lambda path: {"name": path.stem, "path": str(path)})

    @staticmethod
    def _named(files: KeptFiles, row: Callable[[Path], dict[str, Any]]) -> list[dict[str, Any]]:
        """List files; a simulator without any does not simulate their kind."""
        found = [row(path.absolute()) for path in files.paths().values()]
        if not found:
            raise HttpRefusal(404, "HTTPException", "not simulated")
        return found

    def loaded_embeddings(self) -> dict[str, Any]:
        one = {"step": 100, "sd_checkpoint": None, "sd_checkpoint_name": None}
        shown = {**one, "shape": 768, "vectors": 8}
        return {"loaded": dict.fromkeys(self.embeddings, shown), "skipped": {}}

    def enlarge(self, body: dict[str, Any]) -> dict[str, Any]:
        """Answer /extra-single-image: without weights a plain resize, with status 200."""
        name = str(body.get("upscaler_1") or "None")
        if name not in (known := [one["name"] for one in self.upscalers()]):
            raise HttpRefusal(
                500, "AssertionError", f"could not find upscaler named {name} in {known}"
            )
        image = enlarge(str(body["image"]), float(body["upscaling_resize"]), name in self.weights)
        return {"html_info": "", "image": image}

    def sd_modules(self) -> Any:
        """Answer /sd-modules, by which Forge is known."""
        raise HttpRefusal(404, "HTTPException", "Not Found")

    def latent_upscale_modes(self) -> list[dict[str, Any]]:
        return [{"name": name} for name in LATENT]

    def sd_models(self) -> list[dict[str, Any]]:
        rows = []
        for name in self.checkpoints:
            digest = self.files.listed(name) or None
            rows.append(
                {
                    "title": self._title(name),
                    "model_name": name,
                    "hash": digest and digest[:10],
                    "sha256": digest,
                    "filename": str(self.files.path(name)),
                    "config": None,
                }
            )
        return rows

    def samplers(self) -> list[dict[str, Any]]:
        return [{"name": name, "aliases": [], "options": {}} for name in SAMPLERS]

    def schedulers(self) -> list[dict[str, Any]]:
        return [{"name": name.lower(), "label": name} for name in SCHEDULERS]

    def loras(self) -> list[dict[str, Any]]:
        self.counters.lora_listings += 1
        return [
            {
                "name": name,
                "alias": one.metadata.get("ss_output_name", name),
                "path": str(one.path),
                "metadata": one.metadata,
            }
            for name, one in self._listed.items()
        ]

    def progress(self) -> dict[str, Any]:
        busy = self.tasks.turn.locked()
        state = {
            "job": "simulated" if busy else "",
            "job_count": self._job_count if busy else 0,
            "job_no": self._job_no,
            "interrupted": self._interrupted.is_set(),
        }
        return {"progress": 0.5 if busy else 0.0, "state": state}

    def interrupt(self) -> dict[str, Any]:
        """End whatever is drawn now, whoever asked for it; without effect when nothing is."""
        self.counters.interrupts += 1
        if self.tasks.turn.locked():
            self._interrupted.set()
        return {}

    # What can be changed

    def set_options(self, changes: dict[str, Any]) -> None:
        """Change settings at once, under a running job too, as the real one does."""
        word = changes.get("sd_model_checkpoint")
        if word is not None:
            name = self._checkpoint(str(word))
            if name is None:
                raise HttpRefusal(500, "RuntimeError", f"model {word!r} not found")
            if name != self._checkpoint(str(self._data.get("sd_model_checkpoint", ""))):
                self._load(name)
        self._change(changes)

    def _change(self, changes: dict[str, Any]) -> None:
        """Change what is not equal to what is there: 2.0 stays where 2 is asked for."""
        missing = object()
        for name, value in changes.items():
            if self._data.get(name, missing) != value:
                self._data[name] = value

    def refresh_loras(self) -> None:
        self.counters.refreshes += 1
        self._listed = self._read_loras(self.lora_dir)

    def _read_loras(self, folder: Path) -> dict[str, LoraFile]:
        found = {path.stem: path for path in sorted(folder.rglob("*.safetensors"))}
        return {name: one for name, path in found.items() if (one := self._read(path))}

    def _read(self, path: Path) -> LoraFile | None:
        return read_lora_file(path)

    def unload_checkpoint(self) -> dict[str, Any]:
        self.counters.unloads += 1
        return {}

    def reload_checkpoint(self) -> None:
        """Load it again; a picture would do so by itself."""

    def _checkpoint(self, word: str) -> str | None:
        for name in self.checkpoints:
            digest = self.files.listed(name)
            plain, short = f"{name}.safetensors", digest[:10]
            hashed = (f"{plain} [{short}]", f"{name} [{short}]", short, digest) if digest else ()
            if word in (name, plain, *hashed):
                return name
        return None

    def _load(self, name: str) -> None:
        self.has_chosen = True
        if name != self._loaded:
            self._loaded = name
            self.files.load(name)
            self.counters.checkpoint_loads += 1

    # Drawing

    def draw(self, body: dict[str, Any], sources: list[str] | None) -> dict[str, Any]:
        """Answer txt2img or img2img as the real one does, one request after the other."""
        task = str(body.get("force_task_id") or f"task({random.randrange(1 << 32)})")
        with self.tasks.taking_turn(task):
            self._interrupted.clear()
            self._job_count, self._job_no = int(body.get("n_iter", 1)), 0
            self.faults.before(body)
            return self.faults.answer(self._overridden(body, sources))

    def _overridden(self, body: dict[str, Any], sources: list[str] | None) -> dict[str, Any]:
        """Draw under the request's own settings; only options that config.json holds go back."""
        settings = dict(body.get("override_settings") or {})
        if self._checkpoint(str(settings.get("sd_model_checkpoint", ""))) is None:
            settings.pop("sd_model_checkpoint", None)  # ignored, with status 200
        before = {name: self._data[name] for name in settings if name in self._data}
        self._change(settings)
        try:
            wanted = str(self._data.get("sd_model_checkpoint") or self._loaded)
            self._load(self._checkpoint(wanted) or self._loaded)
            if str(body.get("script_name") or "").lower() == "x/y/z plot":
                return draw_plot(body, self._draw_of_plot, self._count_plot)
            return self._draw(body, sources)
        finally:
            if body.get("override_settings_restore_afterwards", True):
                self._data.update(before)

    def _count_plot(self, cells: int) -> None:
        self._job_count *= cells

    def _draw_of_plot(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """Draw one cell of a plot; None after an interrupt, when the plot leaves it blank."""
        return None if self._interrupted.is_set() else self._overridden(body, None)

    def _draw(self, body: dict[str, Any], sources: list[str] | None) -> dict[str, Any]:
        self._refuse_nonsense(body, sources)
        skip = self._data.get("CLIP_stop_at_last_layers", 1)
        if isinstance(skip, float) and skip > 1:
            problem = "tuple indices must be integers or slices, not float"
            raise HttpRefusal(500, "TypeError", problem)
        body = self._expanded(body)
        seed = int(body.get("seed", -1))
        seed = random.randrange(1 << 32) if seed == -1 else seed
        count = int(body.get("n_iter", 1)) * int(body.get("batch_size", 1))
        uses = self._use_loras(str(body.get("prompt", "")))
        images, infotexts = [], []
        for number in range(count):
            text = format_infotext(self._infotext(body, seed + number, uses))
            card = self._card(body, seed + number, self._applied, sources)
            if self._interrupted.wait(self.seconds_per_picture):
                time.sleep(self.seconds_to_interrupt)
            png = encode_png(draw_card(card, self.course), text)
            if self._interrupted.is_set():
                png = half_drawn(png, text)
            images.append(base64.b64encode(self.faults.picture(png)).decode("ascii"))
            infotexts.append(text)
            self.counters.pictures += bool(body.get("send_images", True))
            self._job_no += (number + 1) % int(body.get("batch_size", 1)) == 0
            if self._interrupted.is_set():
                break
        return {
            "images": images,
            "parameters": body,
            "info": json.dumps(self._info(body, seed, count, infotexts)),
        }

    def _expanded(self, body: dict[str, Any]) -> dict[str, Any]:
        """Draw from `{a|b}` as the Dynamic Prompts extension does for every request by default."""
        scripts = body.get("alwayson_scripts") or {}
        arguments = scripts.get(DYNAMIC_PROMPTS, {}).get("args", [True])
        if not self.dynamic_prompts or not arguments[0]:
            return body
        prompt = re.sub(r"\{([^{}|]*)[^{}]*\}", r"\1", str(body.get("prompt", "")))
        return {**body, "prompt": prompt}

    def _refuse_nonsense(self, body: dict[str, Any], sources: list[str] | None) -> None:
        if int(body.get("steps", 50)) < 1 or int(body.get("width", 512)) < 8:
            raise HttpRefusal(500, "RuntimeError", "steps and size must be at least 1")
        if body.get("enable_hr") and body.get("denoising_strength") is None:
            raise HttpRefusal(500, "TypeError", "'<' not supported between NoneType and float")
        upscaler = body.get("hr_upscaler") or "Latent"
        names = [one["name"] for one in (*self.upscalers(), *self.latent_upscale_modes())]
        if body.get("enable_hr") and upscaler not in names:
            raise HttpRefusal(500, "AssertionError", f"could not find upscaler named {upscaler}")
        for name in body.get("alwayson_scripts") or {}:
            if name.lower() not in {*self.scripts()["txt2img"]}:
                raise HttpRefusal(422, "HTTPException", f"always on script {name} not found")
        if sources is not None and not sources:
            raise HttpRefusal(404, "HTTPException", "Init image not found")

    def _use_loras(self, prompt: str) -> list[tuple[str, float, LoraFile]]:
        """Load the LoRAs of a prompt; unknown names and weights that are not numbers are ignored.

        Those of the same names and weights as before stay as they were, whatever their files are.
        """
        used = []
        for tag in lora_tags(prompt):
            one = self._listed.get(tag.name)
            weight = tag.multiplier
            if one and weight is not None:
                used.append((tag.name, weight, one))
        if [one[:2] for one in self._applied] != [one[:2] for one in used]:
            self._applied = used
        names = tuple(name for name, _, _ in used)
        if names != self._used_loras:
            self._used_loras = names
            self.counters.lora_swaps += 1
        return used

    def _card(
        self,
        body: dict[str, Any],
        seed: int,
        uses: list[tuple[str, float, LoraFile]],
        sources: list[str] | None,
    ) -> Card:
        strength = sum(abs(weight) * one.progress for _, weight, one in uses if one.fits)
        prompt = str(body.get("prompt", ""))
        plain = prompt
        for tag in lora_tags(prompt):
            plain = plain.replace(tag.text, "")
        effect: list[Any] = [(one.hash, weight) for _, weight, one in uses if one.fits and weight]
        effect += self._vae_drawn_with()
        effect += self._hypernetworks_in(prompt)
        effect += [sha256_of(Path(one)) for one in self._upscaling(body)]
        request = drawn_fields(body)
        request["clip skip"] = self._data.get("CLIP_stop_at_last_layers", 1)
        drawn_with = self._loaded + self.files.mark
        digest = json.dumps([request, plain.split(), seed, drawn_with, effect], sort_keys=True)
        scale = float(body.get("hr_scale", 2.0)) if body.get("enable_hr") else 1.0
        return Card(
            prompt=plain.strip(),
            seed=seed,
            checkpoint=self._loaded,
            lora=", ".join(f"{name} : {weight:g}" for name, weight, one in uses if one.fits),
            strength=strength,
            fingerprint=digest
            + (hashlib.sha256(sources[0].encode()).hexdigest() if sources else ""),
            width=int(int(body.get("width", 512)) // 8 * 8 * scale) // 8 * 8,
            height=int(int(body.get("height", 512)) // 8 * 8 * scale) // 8 * 8,
        )

    def _hypernetworks_in(self, prompt: str) -> list[str]:
        """Return the hashes of the hypernetworks that a prompt names and that are drawn with."""
        return self.nets.use(re.findall(r"<hypernet:([^:<>]+)", prompt))

    def _vae_drawn_with(self) -> list[str]:
        """Return the hash of the VAE that is chosen; none where the checkpoint's own is used."""
        return self.vaes.use([str(self._data.get("sd_vae", "")).rpartition(".")[0]])

    def _upscaling(self, body: dict[str, Any]) -> list[str]:
        """Return the file of the upscaler that a picture is enlarged with, where it has one."""
        name = body.get("hr_upscaler") if body.get("enable_hr") else None
        if body.get("init_images"):
            name = self._data.get("upscaler_for_img2img")
        paths = (one.get("model_path") for one in self.upscalers() if one["name"] == name)
        return [path for path in paths if path]

    def _infotext(
        self,
        body: dict[str, Any],
        seed: int,
        uses: list[tuple[str, float, LoraFile]],
    ) -> Infotext:
        model = {"Model hash": self.files.loaded[:10], "Model": self._loaded, **self._vae_named()}
        skip = int(self._data.get("CLIP_stop_at_last_layers") or 1)
        fields = written_fields(body, seed, model, skip)
        if uses:
            fields["Lora hashes"] = ", ".join(
                f"{hashed_as(name)}: {one.hash}" for name, _, one in uses
            )
        fields |= added_fields(body, self.embeddings)
        fields["Version"] = self.version
        fields["Simulated"] = "drawn by the loraloom simulated WebUI"
        negative = str(body.get("negative_prompt") or "")
        return Infotext(str(body.get("prompt", "")), negative, fields)

    def _vae_named(self) -> dict[str, str]:
        """Name the VAE that is chosen, with the hash of the file, whatever is loaded."""
        vae = str(self._data.get("sd_vae", "Automatic"))
        if vae in ("Automatic", "None") or not self._data.get("add_vae_name_to_info", True):
            return {}
        path = self.vaes.paths().get(vae.rpartition(".")[0])
        return {"VAE": vae, **({"VAE hash": sha256_of(path)[:10]} if path else {})}

    def _info(
        self, body: dict[str, Any], seed: int, count: int, infotexts: list[str]
    ) -> dict[str, Any]:
        return {
            "prompt": body.get("prompt", ""),
            "all_prompts": [body.get("prompt", "")] * count,
            "seed": seed,
            "all_seeds": [seed + number for number in range(count)],
            "width": body.get("width", 512),
            "height": body.get("height", 512),
            "sd_model_name": self._loaded,
            "sd_model_hash": self.files.loaded[:10],
            "infotexts": infotexts,
            "version": self.version,
        }
