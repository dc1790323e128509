"""Stands in for what a question must not touch: models without weights, an idle accelerator.

The models have the real structure where it is known, so that names and sizes are right.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, Protocol


class Teller(Protocol):
    """Whoever passes on what the trainer says."""

    def tell(self, kind: str, **row: Any) -> None:
        """Write one answer."""


class Anything:
    """Stands where the trainer keeps something that is not needed before the first step."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return Anything()

    def __iter__(self) -> Iterator[Any]:
        return iter(())


class Sharded:
    """A loader as accelerate hands it to one of several processes: only its length matters."""

    def __init__(self, batches: int, processes: int) -> None:
        self._length = -(-batches // processes)

    def __len__(self) -> int:
        return self._length


class Accelerator(Anything):
    """Says how many processes there are, keeps what is printed, and moves nothing."""

    def __init__(self, torch: Any, processes: int, answers: Teller) -> None:
        self._torch, self._answers = torch, answers
        self.num_processes = processes
        self.process_index = self.local_process_index = 0
        self.is_main_process = self.is_local_main_process = True
        self.device = torch.device("cpu")
        self.trackers: list[Any] = []

    def print(self, *words: Any) -> None:
        """Pass on what the trainer says: its figures are among it."""
        self._answers.tell("said", text=" ".join(map(str, words)))

    def prepare(self, *things: Any) -> Any:
        """Return what is given; loaders are shared among the processes."""
        loader = self._torch.utils.data.DataLoader
        found = tuple(
            Sharded(len(one), self.num_processes) if isinstance(one, loader) else one
            for one in things
        )
        return found if len(found) != 1 else found[0]

    def unwrap_model(self, model: Any) -> Any:
        """Return the model: it was never wrapped."""
        return model


def models_of(script: str, args: Any) -> tuple[list[Any], Any]:
    """Return text encoders and U-Net (or what the family has in its place), all without weights."""
    torch = importlib.import_module("torch")
    transformers = importlib.import_module("transformers")
    clip, t5 = transformers.CLIPTextModel, transformers.T5EncoderModel

    def shape(**sizes: int) -> dict[str, int]:
        return sizes

    large = shape(hidden_size=768, intermediate_size=3072, num_attention_heads=12,
                 num_hidden_layers=12)  # fmt: skip
    big = shape(hidden_size=1280, intermediate_size=5120, num_attention_heads=20,
               num_hidden_layers=32, projection_dim=1280)  # fmt: skip
    config = transformers.CLIPTextConfig

    def library(name: str) -> Any:
        return importlib.import_module(f"library.{name}")

    def t5_encoder() -> Any:
        return t5(transformers.T5Config(d_model=4096, d_kv=64, d_ff=10240, num_layers=24,
                                        num_heads=64, feed_forward_proj="gated-gelu",
                                        vocab_size=32128))  # fmt: skip

    with torch.device("meta"), torch.no_grad():
        if script == "train_network":
            v2 = bool(args.v2)
            if v2:
                large = shape(hidden_size=1024, intermediate_size=4096, num_attention_heads=16,
                              num_hidden_layers=23)  # fmt: skip
            parts = library("model_util").create_unet_diffusers_config(v2)
            return [clip(config(**large))], library("original_unet").UNet2DConditionModel(**parts)
        if script == "sdxl_train_network":
            two = transformers.CLIPTextModelWithProjection(config(**big))
            unet = library("sdxl_original_unet").SdxlUNet2DConditionModel()
            return [clip(config(**large)), two], unet
        if script == "flux_train_network":
            encoders = [clip(config(**large)), t5_encoder()]
            if getattr(args, "model_type", None) == "chroma":
                chroma = library("chroma_models")
                return encoders, chroma.Chroma(chroma.chroma_params)
            flux = library("flux_models")
            return encoders, flux.Flux(flux.configs["dev"].params)
        if script == "sd3_train_network":
            sd3 = library("sd3_models")
            two = [transformers.CLIPTextModelWithProjection(config(**one)) for one in (large, big)]
            params = sd3.SD3Params(2, 24, 36864, 192, 2048, "rms", [], 4096, 1536, "medium")
            return [*two, t5_encoder()], sd3.create_sd3_mmdit(params)
        if script == "lumina_train_network":
            gemma = transformers.Gemma2Model(transformers.Gemma2Config(
                hidden_size=2304, intermediate_size=9216, num_hidden_layers=26,
                num_attention_heads=8, num_key_value_heads=4, head_dim=256))  # fmt: skip
            return [gemma], library("lumina_models").NextDiT_2B_GQA_patch2_Adaln_Refiner()
        if script == "hunyuan_image_train_network":
            encoders = [clip(config(**large)), clip(config(**large))]
            made = library("hunyuan_image_models").create_model("torch", False, None)
            return encoders, made
        if script == "anima_train_network":
            qwen = transformers.Qwen3Model(transformers.Qwen3Config(
                hidden_size=1024, intermediate_size=3072, num_hidden_layers=28,
                num_attention_heads=16, num_key_value_heads=8))  # fmt: skip
            return [qwen], library("anima_models").Anima(
                max_img_h=512, max_img_w=512, max_frames=128, in_channels=16, out_channels=16,
                patch_spatial=2, patch_temporal=1, model_channels=2048, num_blocks=28,
                num_heads=16, crossattn_emb_channels=1024, use_adaln_lora=True,
                adaln_lora_dim=256, pos_emb_cls="rope3d", use_llm_adapter=True)  # fmt: skip
    raise NotImplementedError(f"no model is known for {script}")


def stand_ins(torch: Any) -> tuple[list[Any], Any]:
    """Return modules with the names that LoRA modules look for, where the real ones are unknown."""
    linear = torch.nn.Linear

    def named(name: str) -> Any:
        kind = type(name, (torch.nn.Module,), {"device": torch.device("cpu")})
        made = kind()
        made.to_q, made.q_proj, made.fc1 = linear(4, 4), linear(4, 4), linear(4, 4)
        return made

    return [named("CLIPAttention")], named("Transformer2DModel")


def unmoved(model: Any) -> Any:
    """Let a model without weights stay where it is, whatever is asked."""
    model.to = lambda *arguments, **options: model
    for name in ("enable_gradient_checkpointing", "gradient_checkpointing_enable"):
        if not hasattr(model, name):
            setattr(model, name, lambda *arguments, **options: None)
    return model
