"""The contract's names a third time, acting on Tensors and recording the graph.

`backend_of_array[Tensor]` is this module: a rule called with `xp` = this module yields gradients that have a graph.
Every primitive of the files beside this one stands here under its own name.
"""

import sys

from retrograd.autograd.ops import (
    activation,
    attention,
    choice,
    convolution,
    ctc,
    decompositions,
    elementwise,
    embedding,
    entropy,
    folding,
    indexing,
    inplace,
    linalg,
    loss,
    normalization,
    pairwise,
    pooling,
    recurrent,
    reduction,
    resampling,
    sampling,
    scan,
    scatter,
    shape,
    special,
    transfer,
)
from retrograd.autograd.ops.einstein import einsum as einsum
from retrograd.autograd.ops.indexing import getitem as getitem
from retrograd.autograd.primitive import REGISTRY
from retrograd.autograd.tensor import Tensor
from retrograd.backends import backend_of_array

globals().update((name, primitive.record) for name, primitive in REGISTRY.items())
backend_of_array[Tensor] = sys.modules[__name__]
