"""Cells that wait, grouped so that each backend draws near what it has loaded.

A group is what one loaded checkpoint and one set of LoRAs can draw; the next group is one that
no other backend is at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice

from .cell import Cell, LoraUse

Group = tuple[tuple[str, str, str], tuple[LoraUse, ...]]
"""What is loaded: title and hash of the checkpoint with the VAE, and LoRAs."""

_LOOK_AHEAD = 8
May = Callable[[Cell], bool]


def group_of(cell: Cell) -> Group:
    """Return what must be loaded to draw a cell."""
    return (cell.checkpoint.title, cell.checkpoint.sha256, cell.vae), cell.loras


AND_VAE = " and the VAE "


def turn_of(cell: Cell) -> str:
    """Name what is loaded for a cell, as commands that take turns name it to each other."""
    title = cell.checkpoint.title
    return f"{title}{AND_VAE}{cell.vae}" if cell.vae else title


class Waiting:
    """An ordered store of cells; not safe for threads by itself."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        self._groups: dict[Group, deque[Cell]] = {}
        self._count = 0
        for cell in cells:
            self._groups.setdefault(group_of(cell), deque()).append(cell)
            self._count += 1

    def __len__(self) -> int:
        return self._count

    def cells(self) -> list[Cell]:
        """Return all cells that wait, in order."""
        return [cell for group in self._groups.values() for cell in group]

    def first(self) -> Cell | None:
        """Return the first cell that waits; None when none does."""
        return next((cell for group in self._groups.values() for cell in group), None)

    def find_group(self, loaded: str) -> Group | None:
        """Return the first group that can be drawn with what is loaded, as a turn names it."""
        cells = (group[0] for group in self._groups.values())
        return next((group_of(one) for one in cells if turn_of(one) == loaded), None)

    def put_back(self, cells: Iterable[Cell]) -> None:
        """Let cells wait again, first of their group."""
        for cell in reversed(list(cells)):
            self._groups.setdefault(group_of(cell), deque()).appendleft(cell)
            self._count += 1

    def take(self, near: Group | None, elsewhere: Collection[Group], may: May) -> Cell | None:
        """Take the cell that costs a backend least: `near` is what it has loaded.

        `elsewhere` is what the other backends have; `may` says whether it can draw a cell.
        """
        for group in self._by_cost(near, elsewhere):
            cells = self._groups[group]
            for index, cell in enumerate(cells):
                if may(cell):
                    del cells[index]
                    self._forget(group)
                    return cell
        return None

    def take_row(self, first: Cell, most: int) -> list[Cell]:
        """Take more cells of `first`'s row whose seeds follow its own, `most` at the most.

        Plans keep the seeds of a row together, so only the next cells are looked at.
        """
        near = islice(self._groups.get(group_of(first), ()), _LOOK_AHEAD * most)
        by_seed = {cell.seed: cell for cell in near if cell.row == first.row}
        taken: list[Cell] = []
        while len(taken) < most and first.seed + len(taken) + 1 in by_seed:
            taken.append(by_seed[first.seed + len(taken) + 1])
        return self._take_out(taken)

    def take_batch(self, first: Cell) -> list[Cell]:
        """Take the other cells of `first`'s batch, which one request draws together."""
        near = islice(self._groups.get(group_of(first), ()), _LOOK_AHEAD * first.batch.size)
        base = first.seed - first.batch.index
        same = [cell for cell in near if cell.seed - cell.batch.index == base]
        return self._take_out([cell for cell in same if cell.row == first.row])

    def _take_out(self, cells: list[Cell]) -> list[Cell]:
        for cell in cells:
            self._groups[group_of(cell)].remove(cell)
            self._forget(group_of(cell))
        return cells

    def _forget(self, group: Group) -> None:
        self._count -= 1
        if not self._groups[group]:
            del self._groups[group]

    def _by_cost(self, near: Group | None, elsewhere: Collection[Group]) -> Iterator[Group]:
        """Order groups: what is loaded, then its checkpoint, then what nobody else is at."""
        if near is not None and near in self._groups:
            yield near
        checkpoints = {group[0] for group in elsewhere}
        loaded = near[0] if near else None

        def cost(group: Group) -> tuple[bool, bool, bool, bool]:
            is_loaded = group[0] == loaded
            has_checkpoint = loaded is not None and group[0][:2] == loaded[:2]
            is_elsewhere = not is_loaded and group[0] in checkpoints
            return not has_checkpoint, not is_loaded, is_elsewhere, group in elsewhere

        yield from sorted((group for group in self._groups if group != near), key=cost)
