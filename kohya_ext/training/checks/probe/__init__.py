"""The question itself: run by the trainer's own Python, with nothing but our own modules added."""
