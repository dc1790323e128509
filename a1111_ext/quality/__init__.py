"""Epoch advice: what orders the epochs of a run, from pictures, weights and votes, and says why."""
