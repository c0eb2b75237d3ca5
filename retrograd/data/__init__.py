"""Data sets, their files, and the loaders that feed batches to a training loop."""
