"""How the simulated WebUI enlarges a picture: with weights it adds detail, without it does not."""

from __future__ import annotations

import base64
import io


def enlarge(image: str, scale: float, has_weights: bool) -> str:
    """Enlarge a base64 picture as the real one does, without weights by a plain resize."""
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(base64.b64decode(image))) as opened:
        picture = opened.convert("RGB")
    size = (int(picture.width * scale), int(picture.height * scale))
    larger = picture.resize(size, Image.Resampling.LANCZOS)
    if has_weights:
        larger = ImageOps.solarize(larger, 96)
    stream = io.BytesIO()
    larger.save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode("ascii")
