"""The showcase: batches over checkpoints, which pictures are shown, and in which order."""
