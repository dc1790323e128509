"""The contact sheet of a grid: layout, text, PNG of any size."""
