"""Cells: every picture asked for once, drawn in the cheapest order, verified, never lost."""
