"""Simulated: what replaces the trainer and the tagger, and the demo that runs the workflow."""
