"""What a WebUI is and has, and what is refused because it has it not; `inventory` asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from kohya_ext.project import InputError, MissingError, ToolError
from kohya_ext.project.addresses import is_this_machine
from kohya_ext.project.families import Family
from kohya_ext.project.lora_kind import LoraFacts
from kohya_ext.project.printable import shortened
from kohya_ext.project.wording import counted

from .file_hashes import hash_of_file, is_here
from .lora_list import facts_of, hash_of, read_metadata
from .lora_tags import multiplier_of, tags_not_read

SIZE_STEP = 8
"""A latent's pixel is as wide; A1111 rounds sizes down to its multiples."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as the WebUI lists it; `sha256` is empty until it was hashed."""

    title: str
    name: str
    sha256: str
    path: str

    def matches(self, word: str) -> bool:
        """Whether the WebUI knows this checkpoint by `word`; case counts."""
        plain = self.title.partition(" [")[0]
        short = {self.sha256[:10], self.sha256} if self.sha256 else set()
        return word in {self.title, self.name, plain, *short}


@dataclass(frozen=True)
class Lora:
    """A LoRA as the WebUI lists it; `hash` is what it will write into infotexts."""

    name: str
    alias: str
    hash: str
    path: str


@dataclass(frozen=True)
class AlwaysOn:
    """An always-on script: its name in small letters, and how many arguments it takes."""

    name: str
    arguments: int
    is_img2img: bool = False


@dataclass(frozen=True)
class Capabilities:
    """One WebUI: names are exact, the WebUI answers 200 to wrong ones and ignores them."""

    url: str
    checkpoints: tuple[Checkpoint, ...]
    loaded: str
    samplers: tuple[str, ...]
    schedulers: tuple[str, ...]
    upscalers: tuple[str, ...]
    loras: tuple[Lora, ...]
    scripts: tuple[str, ...]
    lora_dir: str
    is_simulated: bool
    has_agent_scheduler: bool
    is_forge: bool = False
    extensions: tuple[str, ...] = ()
    always_on: tuple[AlwaysOn, ...] = ()
    vaes: tuple[str, ...] | None = None
    """Names of VAE files; None where the WebUI does not tell."""
    modules: tuple[str, ...] | None = None
    """Forge's files beside the checkpoint, VAEs and text encoders; None where it has none."""
    missing_files: tuple[str, ...] = ()
    """VAEs that the WebUI lists and whose files are gone from this machine."""
    text_encoders: tuple[str, ...] = ()
    """Forge's chosen modules that are no VAE: a model such as Flux draws nothing without them."""
    hashes_files: bool = True
    """Whether it hashes LoRA files whose header has no hash, and so tells that it used them."""
    hypernetworks: tuple[str, ...] | None = None
    """Names of hypernetworks; None where it draws without any."""
    detectors: tuple[str, ...] | None = None
    """Models that ADetailer has; None where it does not tell."""
    skipped_embeddings: tuple[str, ...] = ()
    """Embeddings that do not fit the loaded model, so that their names are ordinary words."""
    embeddings: Mapping[str, str] = field(default_factory=dict)
    """Embeddings that fit the loaded model, with the hash that infotexts show where it is known."""
    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Paths of model files on this machine, by kind and name."""
    first_files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Hashes of the files that a ledger first met, by kind and name."""
    latent_upscalers: tuple[str, ...] = ()
    """Those of `upscalers` that Hires. fix alone knows."""
    img2img_upscaler: str = ""
    """The WebUI's own setting for how a picture is enlarged before it is redrawn."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The WebUI's own settings, as its options are named."""
    without_weights: tuple[str, ...] = ()
    proved_upscalers: tuple[str, ...] = ()
    unchecked_upscalers: tuple[str, ...] = ()
    """Upscalers by what `prove_upscalers` found of them."""

    own_schedules: tuple[str, ...] = ()
    """Sampling methods that ignore the schedule type."""
    keeps_vae: bool = False
    """It continues drawing with a VAE that was chosen before where none is, as reForge does."""
    size_step: int = SIZE_STEP
    """It draws sizes in multiples of so many pixels, as far as `find_size_step` saw."""

    @property
    def where(self) -> str:
        """Which WebUI it is, for people; the one that we live in has no address."""
        return f"the WebUI at {self.url}" if "://" in self.url else self.url

    @property
    def kind(self) -> str:
        """Which program it is, for people."""
        return "simulated" if self.is_simulated else "Forge" if self.is_forge else "A1111"

    @property
    def dynamic_prompts_script(self) -> str | None:
        """The name of the Dynamic Prompts script, which holds its version; None if absent."""
        return next((name for name in self.scripts if name.startswith("dynamic prompts")), None)

    @property
    def default_upscaler(self) -> str:
        """What Hires. fix of this WebUI uses when nothing else is chosen.

        A1111 begins with its latent ones; Forge Neo has none and begins with plain resizing.
        """
        return next(iter(self.upscalers), "")

    def find_checkpoint(self, word: str) -> Checkpoint | None:
        """Return the checkpoint that the WebUI would take for `word`; the loaded one for "".

        A WebUI in which none was chosen yet loads the first of its list for its first picture. The
        loaded one is set with its hash, and is taken by its name where its file was replaced.
        """
        wanted = word or self.loaded
        if not wanted:
            return next(iter(self.checkpoints), None)
        names = (wanted,) if word else (wanted, wanted.partition(" [")[0])
        found = (one for name in names for one in self.checkpoints if one.matches(name))
        return next(found, None)

    def require_checkpoint(self, word: str) -> Checkpoint:
        """Return a checkpoint; raises InputError for an unknown name."""
        found = self.find_checkpoint(word)
        if found is None:
            titles = [one.title for one in self.checkpoints]
            raise self._unknown("LL408", "checkpoint", word or self.loaded, titles)
        return found

    def require_lora(self, name: str, weight: str = "1") -> Lora:
        """Return a LoRA by its file's stem; raises InputError for an unknown name.

        Raises InputError for a weight that the WebUI does not read.
        """
        self.require_weight(name, weight)
        found = self.find_lora(name)
        if found is None:
            raise self._unknown("LL409", "LoRA", name, (one.name for one in self.loras))
        path = Path(found.path)
        if is_this_machine(self.url) and path.is_symlink() and not path.exists():
            raise MissingError(
                "LL419",
                f"{begun(self.where)} lists the LoRA {name}, but its file is gone: {path} is a "
                "link to nothing.",
                "Restore the file, or remove the LoRA from the prompt.",
            )
        return found

    def require_weight(self, name: str, weight: str) -> None:
        """Raise InputError for a weight that is none: the WebUI would draw without the LoRA."""
        if multiplier_of(weight) is None:
            raise InputError(
                "LL414",
                f"The weight in <lora:{name}:{shortened(weight)}> is not a number; {self.where} "
                "would silently draw without it.",
                f"Write it as <lora:{name}:0.8>.",
            )

    def find_lora(self, name: str) -> Lora | None:
        """Return a LoRA by its file's stem."""
        return self._loras_by_name.get(name)

    def lora_hash(self, name: str, weight: str = "1") -> str:
        """Return the hash of a LoRA as infotexts show it; "" where its file cannot be read here.

        Only the file itself tells whether it is still the one of an earlier picture. Raises
        InputError as `require_lora` does.
        """
        found = self.require_lora(name, weight)
        if not (found.hash or self.hashes_files):
            raise InputError(
                "LL425",
                f"{begun(self.where)} runs with --no-hashing and {name} has no hash in its "
                "header, so loraloom cannot verify that it was used.",
                "Start the WebUI without --no-hashing.",
            )
        if found.hash or not is_this_machine(self.url) or not found.path.endswith(".safetensors"):
            return found.hash
        try:
            return hash_of(Path(found.path), whole=self.is_forge)[:12]
        except (OSError, ToolError):
            return ""

    def lora_hash_now(self, name: str) -> str:
        """Return the hash of a LoRA's file as it is now; "" where it is not seen from here."""
        found = self.find_lora(name)
        if found is None or not is_this_machine(self.url):
            return ""
        known = str(read_metadata(Path(found.path)).get("sshs_model_hash") or "")[:12]
        return known or self.lora_hash(name)

    def file_hash(self, kind: str, name: str) -> str:
        """Return the first 12 digits of a file's SHA-256 as it is now; "" where it is not seen."""
        path = self.files.get(kind, {}).get(name)
        try:
            return hash_of_file(Path(path))[:12] if path else ""
        except OSError:
            return ""

    def checkpoint_hash_now(self, one: Checkpoint) -> str:
        """Return the SHA-256 of a checkpoint's file as it is now; "" where it is not seen."""
        path = Path(one.path)
        try:
            return hash_of_file(path) if is_here(path, self.url) else ""
        except OSError:
            return ""

    def require_one_family(self, names: Iterable[str]) -> None:
        """Raise InputError for LoRAs of one prompt that were made for different models.

        The WebUI applies none of the layers that its model lacks, and says so in its log alone.
        Only files that are seen from here can tell.
        """
        if not is_this_machine(self.url):
            return
        first: tuple[str, LoraFacts] | None = None
        for name in names:
            facts = facts_of(Path(self.require_lora(name).path))
            if facts is None or facts.family is None:
                continue
            if first is not None and not set(first[1].families) & set(facts.families):
                raise InputError(
                    "LL135",
                    f"{name} is a LoRA for {facts.family_title}, but {first[0]} in the same prompt "
                    f"is for {first[1].family_title}: the WebUI would silently draw without one.",
                    "Remove one of them from the prompt.",
                )
            first = first or (name, facts)

    @cached_property
    def _loras_by_name(self) -> Mapping[str, Lora]:
        return {one.name: one for one in self.loras}

    def require_vae(self, name: str) -> None:
        """Raise InputError for an unknown VAE, MissingError for one whose file is gone."""
        if self.vaes is not None and name not in ("", "Automatic", "None", *self.vaes):
            raise self._unknown("LL410", "VAE", name, self.vaes)
        if name in self.missing_files:
            raise MissingError(
                "LL419",
                f"{begun(self.where)} lists the VAE {name}, but its file is gone.",
                "Restore the file, or choose another VAE.",
            )

    def require_module(self, word: str) -> str:
        """Return the whole name of one of Forge's modules; raises InputError for an unknown one.

        Forge takes names with their suffix, writes them without it, and drops those it lacks.
        """
        names = (word,) if self.modules is None else self.modules
        found = next((one for one in names if word in (one, one.rpartition(".")[0])), None)
        if found is None:
            raise self._unknown("LL410", "module", word, names)
        return found

    def require_forge(self) -> None:
        """Raise InputError for settings that A1111 does not have and would silently ignore."""
        if not (self.is_forge or self.is_simulated):
            raise InputError(
                "LL422",
                f"{begun(self.where)} is {self.kind}, which has no distilled CFG scale, shift "
                "or modules.",
                "Use Forge or Forge Neo, or remove distilled_cfg_scale and modules.",
            )

    def require_family(self, family: Family) -> None:
        """Raise InputError for a base model family that this WebUI cannot draw."""
        if not (self.is_forge or self.is_simulated or family.facts.drawing.on_a1111):
            raise InputError(
                "LL423",
                f"{begun(self.where)} is {self.kind}, which does not draw {family.facts.title}.",
                "Use Forge or Forge Neo.",
            )

    def require_script(self, name: str, count: int, *, is_img2img: bool = False) -> None:
        """Raise InputError for an always-on script that is not there or takes less.

        The WebUI would refuse every picture, or silently leave out what is too much.
        """
        here = {one.name: one for one in self.always_on if one.is_img2img == is_img2img}
        found = here.get(name.lower())
        if found is None:
            raise self._unknown("LL415", "always-on script", name, here)
        if count > found.arguments:
            raise InputError(
                "LL415",
                f"The script {name} of {self.where} takes "
                f"{counted(found.arguments, 'argument')}, "
                f"{count} are given; it would silently ignore the rest.",
                "Correct the arguments under picture.scripts; another version of the script "
                "may need other arguments.",
            )

    def require_read(self, prompt: str, negative_prompt: str) -> None:
        """Raise InputError for a tag that the WebUI would take out and draw without."""
        for tag, reason in tags_not_read(
            prompt, negative_prompt, self.hypernetworks, is_forge=self.is_forge
        ):
            raise InputError(
                "LL424",
                f"The prompt contains {tag}, without which {self.where} would silently "
                f"draw: {reason}.",
                "Correct it, or remove it.",
            )

    def require_detector(self, name: str) -> None:
        """Raise InputError for a model that ADetailer does not have: it says so in its window."""
        if self.detectors is not None and name not in ("", "None", *self.detectors):
            raise self._unknown("LL410", "detector model", name, self.detectors)

    def require_names(self, *, sampler: str, scheduler: str, upscaler: str | None) -> None:
        """Raise InputError for a sampler, scheduler or upscaler that is not there.

        Raises MissingError for an upscaler that was found to have no weights.
        """
        for kind, word, names in (
            ("sampling method", sampler, self.samplers),
            ("schedule type", scheduler, self.schedulers),
            ("upscaler", upscaler, self.upscalers),
        ):
            if word is not None and word not in names:
                raise self._unknown("LL410", kind, word, names)
        if upscaler is not None:
            self.require_weights(upscaler)

    def require_enlarger(self, named: str) -> None:
        """Raise InputError for an upscaler that cannot enlarge a finished picture.

        Raises MissingError where none is named and the one of the WebUI's own setting is gone.
        """
        names = [one for one in self.upscalers if one not in self.latent_upscalers]
        if named and named not in names:
            raise self._unknown("LL410", "upscaler for a finished picture", named, names)
        if not named and self.img2img_upscaler not in ("", *names):
            raise MissingError(
                "LL419",
                f"{begun(self.where)} is set to enlarge pictures with {self.img2img_upscaler}, "
                "which it does not have; it would silently do a plain resize.",
                f"Choose another one: {', '.join(names[:8])}.",
            )

    def require_weights(self, upscaler: str) -> None:
        """Raise MissingError for an upscaler that was found to have no weights."""
        if upscaler in self.without_weights:
            raise MissingError(
                "LL419",
                f"{begun(self.where)} lists the upscaler {upscaler}, but has no weights for "
                "it; it would silently do a plain resize.",
                "Its own window says what it could not load: put that file into its models folder, "
                "or choose another upscaler.",
            )

    def _unknown(self, code: str, kind: str, word: str, names: Iterable[str]) -> InputError:
        known = list(names)
        folded = {one.casefold(): one for one in known}  # other capitals are the nearest miss
        alike = get_close_matches(word.casefold(), folded, n=3, cutoff=0.3)
        close = [folded[one] for one in alike if one != "none" or word.casefold() == one]
        hint = f"Did you mean {' or '.join(close)}?" if close else f"It has {', '.join(known[:8])}."
        return InputError(
            code,
            f'{begun(self.where)} has no {kind} "{shortened(word)}"; it would '
            f"{_INSTEAD.get(kind, 'silently use another')}.",
            hint if known else f"It has no {kind} at all.",
        )


_WITHOUT = "silently draw without it"
_INSTEAD = {
    "LoRA": _WITHOUT,
    "module": _WITHOUT,
    "detector model": _WITHOUT,
    "always-on script": "refuse the picture",
}


def begun(words: str) -> str:
    """Return words as a sentence begins with them."""
    return words[:1].upper() + words[1:]
