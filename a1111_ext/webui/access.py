"""Who may call our routes, and which files they reach.

The host protects its own routes only (--api-auth); ours must ask for themselves.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from hmac import compare_digest
from pathlib import Path

from kohya_ext.project import RuleError


def is_allowed(authorization: str, credentials: Mapping[str, str]) -> bool:
    """Tell whether an HTTP Basic header names one of `credentials`; anybody may without any."""
    if not credentials:
        return True
    scheme, _, encoded = authorization.partition(" ")
    try:
        named = base64.b64decode(encoded, validate=True).decode("utf-8")
    except ValueError:
        return False
    user, _, password = named.partition(":")
    expected = credentials.get(user)
    if scheme.lower() != "basic" or expected is None:
        return False
    return compare_digest(password.encode("utf-8"), expected.encode("utf-8"))


def require_inside(path: Path, folders: Iterable[Path]) -> Path:
    """Return the true path when it is in one of `folders`; raises RuleError otherwise.

    Links and ".." are followed first.
    """
    true = _resolved(path)
    if true is not None and any(true.is_relative_to(folder.resolve()) for folder in folders):
        return true
    raise RuleError(
        "LL755",
        f"{path} is in none of the folders that loraloom may read.",
        "Add its folder in the WebUI's Settings, section loraloom.",
    )


def _resolved(path: Path) -> Path | None:
    """Follow links and ".."; None for a name that no file can have, or a link to itself."""
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):
        return None
