"""Cells: every picture asked for once, drawn in the cheapest order, verified, never lost."""

from __future__ import annotations

from .backend import Backend, HttpBackend
from .cell import Cell, CheckpointPin, HiresFix, LoraUse, SourcePicture, with_loras
from .cell_plan import CellPlan, pin_cell, plan_cells
from .engine import run_cells
from .events import CellEvent, CellOutcome
from .ledger import CellRecord, CellState, Ledger
from .run import Patience, RunReport
from .verify import Generated, Mismatch, verify_picture

__all__ = [
    "Backend",
    "Cell",
    "CellEvent",
    "CellOutcome",
    "CellPlan",
    "CellRecord",
    "CellState",
    "CheckpointPin",
    "Generated",
    "HiresFix",
    "HttpBackend",
    "Ledger",
    "LoraUse",
    "Mismatch",
    "Patience",
    "RunReport",
    "SourcePicture",
    "pin_cell",
    "plan_cells",
    "run_cells",
    "verify_picture",
    "with_loras",
]
