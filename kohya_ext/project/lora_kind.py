"""What a weight file is, by its tensor names, sizes and header: kind, family and trainer.

Tensor names come first: a header may have been copied or edited, the layers are what is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from .families import Family, FamilyFacts, family_named
from .json_reader import parse_json
from .lora_file import LoraHeader
from .numbers import whole_number


class LoraKind(str, Enum):
    """The form of a LoRA, as the field names it."""

    LORA = "LoRA"
    LOCON = "LoCon"
    DORA = "DoRA"
    LOHA = "LoHa"
    LOKR = "LoKr"
    OFT = "OFT"
    BOFT = "BOFT"
    GLORA = "GLoRA"
    IA3 = "iA3"
    FULL = "full difference"


class Naming(str, Enum):
    """Whose way of naming tensors a file follows."""

    KOHYA = "kohya"
    DIFFUSERS = "diffusers"
    COMFY = "comfy"
    OTHER = "other"


@dataclass(frozen=True)
class LoraFacts:
    """What a file is; `kind` is None when its tensors tell none, `what` names what is not a LoRA.

    `families` are those that its layers fit, the likeliest first, or the one that the header
    chooses among them. `other` names a model without a row. `trainer` is "" where nothing tells.
    """

    kind: LoraKind | None
    naming: Naming
    trainer: str
    families: tuple[Family, ...]
    other: str
    what: str
    rank: int | None

    @property
    def family(self) -> Family | None:
        """The family, the likeliest of several; None where nothing tells."""
        return self.families[0] if self.families else None

    @property
    def family_title(self) -> str:
        """The family in words, also of a model without a row."""
        titles = dict.fromkeys(one.facts.title for one in self.families)
        return " or ".join(titles) or self.other or "an unknown model"

    def contradicts(self, family: Family) -> bool:
        """Tell whether the file cannot be of `family`; what nothing tells contradicts nothing."""
        return bool(self.other) if not self.families else family not in self.families


_KINDS: tuple[tuple[LoraKind, str], ...] = (
    (LoraKind.DORA, r"\.dora_scale$|\.lora_magnitude_vector(\.|$)"),
    (LoraKind.LOHA, r"\.hada_(w[12]_[ab]|t[12])$"),
    (LoraKind.LOKR, r"\.lokr_(w[12](_[ab])?|t2)$"),
    (LoraKind.OFT, r"\.oft_(blocks|diag|R|r)(\.\w+){0,4}$"),
    (LoraKind.GLORA, r"\.(a1|a2|b1|b2|bm1|bm2)\.weight$"),
    (LoraKind.IA3, r"\.on_input$"),
    (LoraKind.LORA, r"\.lora_(down|up|mid|A|B)(\.\w+){0,4}$|[._]lora\d?\.(down|up)\.weight$"),
    (LoraKind.FULL, r"\.(diff|diff_b|set_weight|w_norm|b_norm)$"),
)
_SUFFIX = re.compile(
    "(?:"
    + "|".join(f"(?:{pattern})" for _, pattern in _KINDS)
    + r"|\.alpha|\.scale|\.weight|\.bias)$"
)
_INPUT = re.compile(
    r"\.lora_down\.weight$|\.lora_A(\.\w+){0,4}$|lora\d?\.down\.weight$|\.hada_w1_b$|\.diff$|\.weight$"
)
_FACTOR = re.compile(r"\.lokr_w([12])(_b)?$")
"""The two Kronecker factors of a LoKr: their widths multiply."""
_CONVOLUTION = re.compile(r"_(resnets|in_layers|out_layers|conv_shortcut|downsamplers|upsamplers)_")

_PREFIXES: tuple[tuple[str, str, Naming], ...] = (
    (r"lora_te([123])_", r"te\1_", Naming.KOHYA),
    (r"lora_te_", "te_", Naming.KOHYA),
    (r"(lora|oft)_(unet|prior_unet|transformer)_(net_)?", "", Naming.KOHYA),
    (r"lycoris_(unet_)?", "", Naming.KOHYA),
    (r"base_model\.model\.text_encoder\.|text_encoder\.(?=.)", "te_", Naming.DIFFUSERS),
    (r"text_encoder_([23])\.", r"te\1_", Naming.DIFFUSERS),
    (r"text_encoders\.clip_l\.(transformer\.)?", "te1_", Naming.COMFY),
    (r"text_encoders\.clip_g\.(transformer\.)?", "te2_", Naming.COMFY),
    (r"text_encoders\.t5xxl\.(transformer\.)?", "te3_", Naming.COMFY),
    (r"text_encoders\.\w+\.(transformer\.)?(model\.)?", "te_", Naming.COMFY),
    (r"base_model\.model\.(model\.)?(diffusion_model\.)?", "", Naming.DIFFUSERS),
    (r"model\.diffusion_model\.|diffusion_model\.", "", Naming.COMFY),
    (r"(unet|transformer)\.(base_model\.model\.)?", "", Naming.DIFFUSERS),
    (r"net\.|model\.", "", Naming.OTHER),
)  # fmt: skip
_COMPILED = tuple((re.compile(start), into, naming) for start, into, naming in _PREFIXES)


def read_facts(header: LoraHeader) -> LoraFacts:
    """Read what a file is out of its header; no tensor is decoded."""
    layers = _layers_of(tuple((one.name, one.shape) for one in header.tensors))
    families = layers.families
    declared = _declared(header.metadata)
    if declared is not None and (declared in families or not (families or layers.other)):
        families = (declared,)
    rank = whole_number(header.metadata.get("ss_network_dim", ""))
    is_trained = any(key.startswith(("ss_", "ot_")) for key in header.metadata)
    return LoraFacts(
        layers.kind,
        layers.naming,
        trainer_of(header.metadata) or layers.trainer,
        families,
        layers.other,
        "" if layers.what == _UNKNOWN and is_trained else layers.what,
        layers.rank if rank is None else rank,
    )


@dataclass(frozen=True)
class _Layers:
    """What names and sizes alone tell; the epochs of one run share it."""

    kind: LoraKind | None
    naming: Naming
    trainer: str
    families: tuple[Family, ...]
    other: str
    what: str
    rank: int | None


_Shapes = tuple[tuple[str, tuple[int, ...]], ...]


@lru_cache(maxsize=8)
def _layers_of(shapes: _Shapes) -> _Layers:
    names = [name for name, _ in shapes]
    kind = _kind_of(shapes)
    modules, naming = _modules(shapes)
    families = families_of(modules)
    other = "" if families else other_model(modules) or ""
    if not families and not other:  # sizes of nobody's: a shrunk model; names alone may tell
        families = families_of(dict.fromkeys(modules, 0))
    is_named_so = not names or any(name.startswith(("lora_", "lycoris_")) for name in names)
    is_mixture = any(name.startswith("lora_transformer_") for name in names)
    return _Layers(
        kind,
        naming,
        "OneTrainer" if is_mixture else "",
        families,
        other,
        "" if kind or is_named_so else _what(names, families),
        next((shape[0] for name, shape in shapes if _DOWN.search(name) and shape), None),
    )


def _kind_of(shapes: _Shapes) -> LoraKind | None:
    found: set[LoraKind] = set()
    for name, shape in shapes:
        for kind, pattern in _COMPILED_KINDS:
            if pattern.search(name):
                found.add(kind)
                if kind is LoraKind.OFT and len(shape) == 4:
                    found.add(LoraKind.BOFT)
                if kind is LoraKind.LORA and _is_convolution(name, shape):
                    found.add(LoraKind.LOCON)
                break
    if LoraKind.DORA in found and found & {LoraKind.LOHA, LoraKind.LOKR}:
        found.discard(LoraKind.DORA)
    order = ["DORA", "LOHA", "LOKR", "BOFT", "OFT", "GLORA", "IA3", "LOCON", "LORA", "FULL"]
    return next((kind for name in order if (kind := LoraKind[name]) in found), None)


_COMPILED_KINDS = tuple((kind, re.compile(pattern)) for kind, pattern in _KINDS)


def _is_convolution(name: str, shape: tuple[int, ...]) -> bool:
    """Tell whether a pair of matrices lies on a convolution, not on a linear layer as 1x1."""
    if ".lora_mid." in name or (len(shape) == 4 and shape[-1] > 1):
        return True
    return len(shape) == 4 and bool(_CONVOLUTION.search(name.replace(".", "_")))


def _modules(shapes: _Shapes) -> tuple[dict[str, int], Naming]:
    """Map flat module names to input widths, 0 where the file does not tell."""
    modules: dict[str, int] = {}
    counted: dict[Naming, int] = {}
    factors: dict[str, dict[str, int]] = {}
    for whole, shape in shapes:
        name, naming = _without_prefix(_SUFFIX.sub("", whole))
        counted[naming] = counted.get(naming, 0) + 1
        flat = re.sub(r"_processor_(?=to_)", "_", name.replace(".", "_"))
        width = shape[1] if len(shape) > 1 and _INPUT.search(whole) else 0
        modules[flat] = max(modules.get(flat, 0), width)
        part = _FACTOR.search(whole)
        if part and len(shape) > 1:
            factors.setdefault(flat, {})[part.group(1)] = shape[1]
    modules |= {flat: w["1"] * w["2"] for flat, w in factors.items() if len(w) == 2}
    best = max(counted, key=lambda one: counted[one]) if counted else Naming.OTHER
    return modules, best


def _without_prefix(name: str) -> tuple[str, Naming]:
    for start, into, naming in _COMPILED:
        found = start.match(name)
        if found:
            return found.expand(into) + name[found.end() :], naming
    return name, Naming.OTHER


_OTHERS: Mapping[str, tuple[str, ...]] = {
    "Wan": (r"^blocks_\d+_(self_attn|cross_attn)_[qkvo]$", r"^blocks_\d+_attn[12]_to_[qkv]$"),
    "HunyuanVideo": (
        r"^double_blocks_\d+_(img|txt)_mlp_fc[12]$",
        r"^single_blocks_\d+_modulation_linear$",
        r"^context_embedder_token_refiner_",
    ),
    "HiDream": (r"(double|single)_stream_blocks_\d+_",),
    "AuraFlow": (r"^joint_transformer_blocks_|^(double|single)_layers_\d+_attn",),
    "PixArt, LTX or a similar model": (r"^transformer_blocks_\d+_attn[12]_to_[qkv]$",),
    "Stable Cascade": (r"^(down|up)_blocks_\d+_\d+_(attention|kv_mapper|mapper)",),
    "Krea 2": (r"^blocks_\d+_attn_(gate|w[qkvo])$",),
    "Kandinsky 5": (r"^(visual|text)_transformer_blocks_",),
}
"""Models that trainers make LoRAs for and that have no row: named when their file is refused."""

_BY_LIKELIHOOD = (
    Family.QWEN_IMAGE,
    *(one for one in Family if one not in (Family.QWEN_IMAGE, Family.CHROMA)),
    Family.CHROMA,
)
"""Qwen-Image has only blocks of the kind that Flux has among others; Chroma is the rarer Flux."""


def families_of(modules: Mapping[str, int]) -> tuple[Family, ...]:
    """Return the families whose modules these are, the likeliest first.

    `modules` maps flat names (dots as underscores, no prefix) to input widths, 0 where unknown.
    Several fit where they share their layers, as Flux and Chroma do; none is a model without row.
    """
    return tuple(one for one in _BY_LIKELIHOOD if _fits(one.facts, modules))


def _fits(facts: FamilyFacts, modules: Mapping[str, int]) -> bool:
    never = re.compile(facts.never)
    if any(never.search(name) for name in modules):
        return False
    is_found = False
    for mark in facts.marks:
        pattern = re.compile(mark.pattern)
        widths = {width for name, width in modules.items() if pattern.search(name)}
        known = widths - {0}
        if mark.widths and known and not known & set(mark.widths):
            return False
        is_found = is_found or bool(widths)
    return is_found


def other_model(modules: Iterable[str]) -> str | None:
    """Name a model without a row by its modules; None when these are nobody's known."""
    names = tuple(modules)
    for title, patterns in _OTHERS.items():
        if any(re.search(pattern, name) for pattern in patterns for name in names):
            return title
    return None


# What the header says.


def _declared(metadata: Mapping[str, str]) -> Family | None:
    """Return the family that the header names, by the most exact of its fields."""
    for key in ("modelspec.architecture", "ss_base_model_version"):
        found = family_named(metadata.get(key, ""))
        if found is not None:
            return found
    return Family.SD2 if metadata.get("ss_v2") == "True" else None


def trainer_of(metadata: Mapping[str, str]) -> str:
    """Name the program that trained a file, "" where the header does not tell."""
    software = json_object(metadata.get("software", "")).get("name")
    if software or "training_info" in metadata:
        return str(software or "ai-toolkit")
    if any(key.startswith("ot_") for key in metadata):
        return "OneTrainer"
    module = metadata.get("ss_network_module", "")
    if module:
        return "musubi-tuner" if _is_musubi(metadata, module) else "sd-scripts"
    if any(key.startswith("ss_") for key in metadata):
        return "sd-scripts"
    return "diffusers" if "lora_adapter_metadata" in metadata else ""


_MUSUBI = re.compile(
    r"networks\.(lora|loha|lokr)_(wan|framepack|flux_2|qwen_image|zimage|z_image|kandinsky|hv|"
    r"krea|hidream|ideogram)"
)
_MUSUBI_BASES = re.compile(
    r"^(hunyuan_video|wan|framepack|flux_kontext|flux_2|qwen_image|z_image|kandinsky|hidream|"
    r"krea|ideogram)", re.IGNORECASE,
)  # fmt: skip


def _is_musubi(metadata: Mapping[str, str], module: str) -> bool:
    base = metadata.get("ss_base_model_version", "")
    return bool(_MUSUBI.match(module) or _MUSUBI_BASES.match(base))


def json_object(text: str) -> dict[str, object]:
    """Read a JSON object that a trainer wrote as a header's text; {} for anything else."""
    try:
        found = parse_json(text) if text.startswith("{") and len(text) < 1_000_000 else None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


_DOWN = re.compile(
    r"\.lora_down\.weight$|\.lora_A(\.\w+){0,4}$|lora\d?\.down\.weight$|\.hada_w1_b$|\.lokr_w2_b$"
)


_UNKNOWN = "a file with other tensors"
_WHAT: tuple[tuple[str, str], ...] = (
    ("a ControlNet", r"^control_model\.|^lllite_|^controlnet_|^input_hint_block\."),
    ("a textual inversion", r"^(emb_params|string_to_param|clip_[lg])$"),
    ("a VAE", r"^(first_stage_model\.)?(encoder|decoder)\.(conv_in|mid|conv1|up)"),
    ("a text encoder", r"^(text_model\.|encoder\.block\.|model\.layers\.|shared\.weight)"),
    ("an upscaler", r"^(conv_first|body\.0\.rdb1|model\.0\.weight|params_ema)"),
)


def _what(names: Sequence[str], families: tuple[Family, ...]) -> str:
    if families:
        return f"a whole {families[0].facts.title} model"
    for what, pattern in _WHAT:
        if any(re.search(pattern, name) for name in names):
            return what
    return _UNKNOWN
