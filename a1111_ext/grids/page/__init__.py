"""The page of a grid: one HTML document, its votes."""
