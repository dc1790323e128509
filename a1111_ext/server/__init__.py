"""The pages of grids and boards, served on the loopback address."""
