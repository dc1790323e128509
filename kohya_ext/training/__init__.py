"""Training: a config that the hosts keep, exact steps, preflight, and a run that is followed."""
