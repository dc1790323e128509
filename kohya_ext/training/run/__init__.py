"""One training run: started, followed, verified, recorded."""
