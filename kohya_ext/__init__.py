"""Part of loraloom."""
