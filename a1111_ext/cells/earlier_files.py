"""What hosts may still hold of files that were replaced since, asked once for each host."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from .backend import Backend
from .cell import Cell, without_hashes
from .ledger import Ledger
from .model_files import HYPERNETWORK, NO_VAE
from .verify import Checked, Generated, is_earlier_checkpoint, pixels_digest


class EarlierFiles:
    """What the backends of one run were asked to forget; they may ask from threads of their own."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._told_to_forget: set[str] = set()
        self._vaes_read: set[tuple[str, str]] = set()
        self._embeddings_read: set[tuple[str, str]] = set()
        self._checkpoints_read: set[tuple[str, str]] = set()
        self._pixels: dict[str, set[str]] | None = None

    def may_be_kept(self, backend: Backend, cells: Iterable[Cell]) -> bool:
        """Tell, once for each backend, whether a host may hold another file under a name.

        Hosts go by names: they would take what they made of that file, or parts of it. Only a file
        that was last drawn with here, or one that we linked under a name of its own, is known.
        """
        cells = tuple(cells)
        names = _names_in(cells)
        with self._lock:
            if backend.name in self._told_to_forget:
                return False
        found = any(
            backend.may_keep(name) and self._ledger.last_hash(name) != known
            for name, known in names
            if known
        ) or any(
            backend.may_keep(use.name) and self._ledger.last_file(use.kind, use.name) != use.hash
            for cell in cells
            for use in cell.files
            if use.kind == HYPERNETWORK
        )
        with self._lock:
            self._told_to_forget.update([backend.name] if found else [])
        return found

    def has_replaced_embedding(self, backend: Backend, cells: Iterable[Cell]) -> bool:
        """Tell, once for each backend, that another file was last drawn with under a name.

        A Forge reads embeddings with its model only, and draws with those of then.
        """
        found = {
            (backend.name, use.name)
            for cell in cells
            for use in cell.embeddings
            if use.hash and self._ledger.last_hash(use.name) not in ("", use.hash)
        }
        return self._has_new(found, self._embeddings_read)

    def may_keep_vae(self, backend: Backend, cells: Iterable[Cell]) -> bool:
        """Tell, once for each backend and VAE, that a host may hold an earlier file of its name.

        It would draw with that one, and an A1111 would write the hash of the file that is there.
        """
        named = {(backend.name, cell.vae) for cell in cells if cell.vae not in NO_VAE}
        return self._has_new(named, self._vaes_read)

    def holds_earlier_checkpoint(
        self, backend: Backend, answers: Iterable[tuple[Cell, Generated, Checked | None]]
    ) -> bool:
        """Tell, once for each backend and checkpoint, that a host drew with an earlier file.

        It keeps the one that is loaded, and its hash, as long as the same path is asked for.
        """
        found = {
            (backend.name, cell.checkpoint.title)
            for cell, one, _ in answers
            if is_earlier_checkpoint(cell, one)
        }
        return self._has_new(found, self._checkpoints_read)

    def _has_new(self, found: set[tuple[str, str]], known: set[tuple[str, str]]) -> bool:
        with self._lock:
            new = found - known
            known |= new
        return bool(new)

    def may_be_earlier(
        self, backend: Backend, answers: Iterable[tuple[Cell, Generated, Checked | None]]
    ) -> bool:
        """Tell whether a host seems to have drawn with a LoRA that it should have read again.

        So it looks when a picture is that of an earlier file under the name of its LoRA.
        """
        drawn = [
            (cell, one.png)
            for cell, one, _ in answers
            if any(backend.may_keep(name) for name, _ in _names_in([cell]))
        ]
        if not drawn:
            return False
        with self._lock:
            if self._pixels is None:
                self._pixels = self._ledger.pixels_by_request()
        for cell, png in drawn:
            earlier = self._pixels.get(without_hashes(cell.as_json()))
            if earlier and pixels_digest(png) in earlier:
                return True
        return False


def _names_in(cells: Iterable[Cell]) -> set[tuple[str, str]]:
    """Return the files that cells name in their prompts, each with its hash where it is known."""
    found: set[tuple[str, str]] = set()
    for cell in cells:
        found.update((one.name, one.hash) for one in cell.loras)
        found.update((one.name, one.hash) for one in cell.embeddings)
    return found
