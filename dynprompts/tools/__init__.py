"""What only people at a terminal call: lint, coverage, balanced batches, the command line."""
