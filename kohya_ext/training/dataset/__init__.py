"""The dataset as the trainer reads it: folders, dataset config, exact steps."""
