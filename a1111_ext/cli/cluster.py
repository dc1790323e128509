"""`--cluster ADDRESS`: hand the work to the workers of a Dask scheduler."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from kohya_ext.project import HostError, PackageMissing


@contextmanager
def open_executor(address: str | None) -> Iterator[Executor | None]:
    """Connect to a Dask scheduler and give its executor; None without an address.

    Raises MissingError (Dask is not installed) or HostError (no scheduler answers).
    """
    if not address:
        yield None
        return
    try:
        distributed: Any = import_module("distributed")  # an extra that has no types
    except ImportError as error:
        raise PackageMissing(
            "LL456",
            "--cluster needs Dask, which is not installed.",
            "Install it here and on every machine of the cluster: "
            f'"{sys.executable}" -m pip install distributed',
        ) from error
    try:
        client = distributed.Client(address, timeout=20)
    except (OSError, ValueError) as error:
        raise HostError(
            "LL457",
            f"No Dask scheduler answers at {address}: {error}.",
            "Start one with `dask scheduler` and workers with `dask worker ADDRESS`.",
        ) from error
    with client:
        executor: Executor = client.get_executor(pure=False)
        yield executor
