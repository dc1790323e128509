"""Simulated: what stands in for the trainer and the tagger, and the demo that walks the road."""
