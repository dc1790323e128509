"""The WebUI's own settings that change pictures and are no part of a request.

Defaults as in A1111 v1.10.1, modules/shared_options.py. What loraloom itself overrides for a
picture is left out: while another command draws, a WebUI tells that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

USUAL_SETTINGS: Mapping[str, Any] = {
    "always_discard_next_to_last_sigma": False,
    "beta_dist_alpha": 0.6,
    "beta_dist_beta": 0.6,
    "comma_padding_backtrack": 20,
    "ddim_discretize": "uniform",
    "emphasis": "Original",
    "enable_quantization": False,
    "eta_ancestral": 1.0,
    "eta_ddim": 0.0,
    "eta_noise_seed_delta": 0,
    "face_restoration": False,
    "fp8_storage": "Disable",
    "hires_fix_refiner_pass": "second pass",
    "hires_fix_use_firstpass_conds": False,
    "img2img_color_correction": False,
    "img2img_extra_noise": 0.0,
    "initial_noise_multiplier": 1.0,
    "lora_functional": False,
    "no_dpmpp_sde_batch_determinism": False,
    "pad_cond_uncond": False,
    "pad_cond_uncond_v0": False,
    "randn_source": "GPU",
    "refiner_switch_by_sample_steps": False,
    "rho": 0.0,
    "s_churn": 0.0,
    "s_min_uncond": 0.0,
    "s_min_uncond_all": False,
    "s_noise": 1.0,
    "s_tmax": 0.0,
    "s_tmin": 0.0,
    "sd3_enable_t5": False,
    "sd_hypernetwork": "None",
    "sd_noise_schedule": "Default",
    "sd_unet": "Automatic",
    "sd_vae_decode_method": "Full",
    "sd_vae_encode_method": "Full",
    "sdxl_crop_left": 0,
    "sdxl_crop_top": 0,
    "sgm_noise_multiplier": False,
    "sigma_max": 0.0,
    "sigma_min": 0.0,
    "skip_early_cond": 0.0,
    "tiling": False,
    "token_merging_ratio": 0.0,
    "token_merging_ratio_hr": 0.0,
    "token_merging_ratio_img2img": 0.0,
    "uni_pc_lower_order_final": True,
    "uni_pc_order": 3,
    "uni_pc_skip_type": "time_uniform",
    "uni_pc_variant": "bh1",
    "upcast_attn": False,
    "use_downcasted_alpha_bar": False,
    "use_old_emphasis_implementation": False,
    "use_old_hires_fix_width_height": False,
    "use_old_karras_scheduler_sigmas": False,
    "use_old_scheduling": False,
}


def unusual_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a WebUI's settings that change pictures and are not as A1111 has them.

    A setting that another version adds does not count until somebody changes it.
    """
    return {
        name: float(value) if type(value) is int else value
        for name, usual in USUAL_SETTINGS.items()
        if (value := settings.get(name, usual)) != usual and value is not None
    }


def digest_of_settings(settings: Mapping[str, Any]) -> str:
    """Return 12 digits that differ where settings that change pictures do; "" for none of them."""
    if not USUAL_SETTINGS.keys() & settings.keys():
        return ""
    text = json.dumps(unusual_settings(settings), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
