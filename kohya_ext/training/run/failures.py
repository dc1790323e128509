"""What really went wrong: the trainer's own last error without the launcher's, and a cure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .. import cures

_TRACEBACK = "Traceback (most recent call last):"
_ERROR_LINE = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Invalid|Exit)\b.*)$")
_RANK = re.compile(r"^(?:.*\])?\[rank(\d+)\]:\s?(.*)$")
"""A line of one of several processes; the first one of a traceback follows a progress bar."""
_LAUNCHERS_OWN = ("CalledProcessError", "ChildFailedError")
_USAGE = re.compile(r"^\S+\.py: error: (.*)$")

_CURES = (
    (
        r"CUDA out of memory|OutOfMemoryError",
        "The GPU memory is too small for this config, or another program uses some of it. Close "
        "the WebUI, or lower the batch size, use gradient checkpointing, cache the latents, or "
        "use a preset for less GPU memory.",
    ),
    (
        r"No module named '?(networks|library)\.",
        "This sd-scripts is older than the config. Install a tested one: loraloom trainer install",
    ),
    (
        r"No module named '?([\w.]+)'?",
        "A package is missing in the trainer's own environment: install it there.",
    ),
    (
        r"image too large, but cropping and bucketing are disabled",
        "Enable buckets: a picture is larger than the resolution.",
    ),
    (
        r"caption file is empty",
        "Write a caption into that file, or delete it.",
    ),
    (
        r"max_train_steps should be greater than initial step",
        "The state is already at the end of this run: set more epochs.",
    ),
    (
        r"size mismatch for",
        "The network weights have another rank than this config: use dim_from_weights, or the "
        "rank of that file.",
    ),
    (
        r"Torch not compiled with CUDA|No CUDA GPUs are available|CUDA driver",
        "The trainer's PyTorch cannot use this GPU: see `loraloom trainer show`.",
    ),
    (
        r"connectFullMesh failed|failed to connect, willRetry|Bootstrap : no socket interface",
        "The processes cannot reach each other. Name the network interface on each machine "
        "(GLOO_SOCKET_IFNAME, with GPUs NCCL_SOCKET_IFNAME), and look at the firewall.",
    ),
    (
        r"Connection (?:closed|reset) by peer|ncclRemoteError|remote process exited",
        "Another process or machine of this training was lost: see its own output. Then resume "
        "from the newest state (--resume), on as many machines as the manifest says.",
    ),
    (
        r"No space left on device",
        "Free some space and resume.",
    ),
    (
        r"when caching Text Encoder output",
        "Switch caption dropout, caption shuffling and token warmup off, or do not cache the text "
        "encoder's outputs.",
    ),
    (
        r"cannot be trained with caching Text Encoder outputs",
        "Train the U-Net only (network_train_unet_only), or do not cache the text encoder's "
        "outputs.",
    ),
    (
        r"when caching latents, either color_aug or random_crop",
        cures.CACHED_LATENTS,
    ),
    (
        r"does not require `num_warmup_steps`",
        "Set the warmup to 0, or use a scheduler with warmup, such as constant_with_warmup.",
    ),
    (
        r"adafactor scheduler must be used with Adafactor",
        cures.ADAFACTOR,
    ),
    (
        r"full_(?:bf|fp)16 requires mixed precision",
        "Set mixed_precision to the same, or switch full_bf16 or full_fp16 off.",
    ),
    (
        r"fp8_base requires mixed precision",
        "Set mixed_precision to bf16 or fp16, or switch fp8_base off.",
    ),
    (
        r"adaptive_noise_scale requires noise_offset",
        cures.NOISE_OFFSET,
    ),
    (
        r"can be enabled only with v_parameterization",
        cures.V_PREDICTION,
    ),
    (
        r"v2 cannot be enabled in SDXL",
        "Switch v2 off.",
    ),
    (
        r"it must be divisible by (?:8|16|32|64)",
        "Set bucket_reso_steps to 64, or leave it out.",
    ),
    (
        r"[Uu]nexpected keyword argument|invalid keyword argument",
        "Correct its name or remove it: optimizer_args, lr_scheduler_args and network_args are "
        "passed unchanged to the optimizer, scheduler and network.",
    ),
    (
        r"not enough values to unpack \(expected 2|too many values to unpack \(expected 2",
        "Write each of network_args, optimizer_args and lr_scheduler_args as name=value, without "
        "spaces around the sign.",
    ),
    (
        r"malformed node or string|invalid syntax|invalid decimal literal|unexpected indent",
        "Write values in optimizer_args and lr_scheduler_args as Python does: True, 0.01, "
        "betas=0.9,0.99 without spaces, text in quotes.",
    ),
    (
        r"empty parameter list",
        "No LoRA modules are left to train: set unet_lr or text_encoder_lr, and block weights, "
        "block_dims and network_dim above 0.",
    ),
    (
        r"persistent_workers option needs",
        "Set max_data_loader_n_workers to 1 or more, or persistent_data_loader_workers off.",
    ),
    (
        r"different lr values in different parameter groups",
        "Prodigy needs the same learning rate for all parts: set unet_lr and text_encoder_lr to 1.",
    ),
    (
        r"Tried to step \d+ times",
        "The scheduler has fewer steps than the training: correct its lr_scheduler_args.",
    ),
    (
        r"blocks_to_swap|Cannot swap more than",
        "Lower blocks_to_swap, or switch off what it conflicts with.",
    ),
    (
        r"BadZipFile|not a zip file|File is not a zip",
        "A cached file is damaged: delete the .npz files beside the pictures; they are made again.",
    ),
    (
        r"Error loading file|image file is truncated|cannot identify image file",
        "A picture is broken: `loraloom check` names it.",
    ),
)


@dataclass(frozen=True)
class TrainerError:
    """The headline of what the trainer said, the lines that led to it, and what to do."""

    headline: str
    lines: tuple[str, ...]
    cure: str


def find_error(stderr: str) -> TrainerError | None:
    """Return the trainer's own last error; that of the launcher does not count.

    Of several processes it is that of the one that failed first: the others lose their partner.
    """
    lines: dict[str, list[str]] = {"": []}
    for line in re.split(r"[\r\n]+", stderr):
        rank = _RANK.match(line)
        lines.setdefault(rank[1] if rank else "", []).append((rank[2] if rank else line).rstrip())
    without_rank = lines.pop("")
    found = (_last_error(one) for one in (*lines.values(), without_rank))
    return next(filter(None, found), None)


def _last_error(lines: list[str]) -> TrainerError | None:
    found: TrainerError | None = None
    for at, line in enumerate(lines):
        if usage := _USAGE.match(line):
            found = _as_error(usage[1], (line,))
        elif line.endswith(_TRACEBACK):
            block = _traceback(lines, at)
            if block and not any(one in block[-1] for one in _LAUNCHERS_OWN):
                found = _as_error(_headline(block), block)
    return found


def _traceback(lines: list[str], at: int) -> tuple[str, ...]:
    """Return the lines from a traceback's head to its last own line, messages of several too."""
    for end in range(at + 1, len(lines)):
        if _ERROR_LINE.match(lines[end]):
            rest = [line for line in lines[end + 1 : end + 4] if line.startswith("\t")]
            return (*lines[at : end + 1], *rest)
    return ()


def _headline(block: tuple[str, ...]) -> str:
    last = next(line for line in reversed(block) if not line.startswith("\t"))
    name, colon, text = last.partition(": ")
    more = " ".join(line.strip() for line in block if line.startswith("\t"))
    text = f"{text} {more}".strip()
    return f"{name.rpartition('.')[2]}: {text}" if colon and text else last


def _as_error(headline: str, lines: tuple[str, ...]) -> TrainerError:
    return TrainerError(headline, lines, cure_of("\n".join((headline, *lines))))


def cure_of(text: str) -> str:
    """Return what to do about an error of the trainer; empty where we know nothing."""
    return next((cure for pattern, cure in _CURES if re.search(pattern, text)), "")
