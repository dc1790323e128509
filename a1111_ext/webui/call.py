"""A call of one of our routes, free of any web library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Call:
    """One request: the names in its path, and its JSON object."""

    names: Mapping[str, str]
    body: Mapping[str, Any]
