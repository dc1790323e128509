"""The one command `loraloom`."""
