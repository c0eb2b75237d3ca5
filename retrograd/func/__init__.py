"""Functions of functions, `rg.func`: gradients, Jacobians, batches, models without state, named as in torch.func."""

from retrograd.func.batches import vmap
from retrograd.func.gradients import grad, grad_and_value, jvp, linearize, vjp
from retrograd.func.matrices import hessian, jacfwd, jacrev
from retrograd.func.modules import functional_call, replace_all_batch_norm_modules_, stack_module_state

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
