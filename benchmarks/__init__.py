"""Speed of retrograd beside PyTorch, JAX, HIPS autograd, MyGrad and hand-written NumPy: `python benchmarks/run.py`."""
