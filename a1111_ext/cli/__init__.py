"""The commands of the picture half."""
