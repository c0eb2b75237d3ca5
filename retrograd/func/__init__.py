"""Functions of functions, `rg.func`: gradients, Jacobians, batches, models without state, named as in torch.func."""

from retrograd.func.modules import functional_call, replace_all_batch_norm_modules_, stack_module_state
from retrograd.func.transforms import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp, vmap

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "replace_all_batch_norm_modules_",
    "stack_module_state",
    "vjp",
    "vmap",
]
