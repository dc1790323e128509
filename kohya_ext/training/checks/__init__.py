"""What would fail late or train something else, found before the trainer starts."""
