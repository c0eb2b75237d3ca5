"""Sources of the library's own GPU kernels, one `Kernel` each; this module imports no array library.

A kernel is the body of a loop over `i`, in the notation of `cupy.ElementwiseKernel`: parameters that are not `raw` name
the i-th element of an array (or a scalar), `raw` ones are indexed in the body, and T is the dtype of the arrays. Each
dtype in `types` is compiled by the tests, without a GPU. float16 is computed in float32.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KERNELS", "Kernel"]

_FLOATS = ("float16", "float32", "float64")
_NUMBERS = (*_FLOATS, "int8", "uint8", "int16", "int32", "int64", "bool")

_PREAMBLE = """
template <typename T> struct computed_in { typedef float type; };
template <> struct computed_in<double> { typedef double type; };
"""


@dataclass(frozen=True)
class Kernel:
    """One elementwise kernel; outputs may be read before they are written, and are then updated in place."""

    name: str
    inputs: str
    outputs: str
    body: str
    types: tuple[str, ...] = _FLOATS
    preamble: str = _PREAMBLE


_SIGMOID = Kernel(
    "sigmoid",
    "T x",
    "T y",
    """
    typedef typename computed_in<T>::type C;
    const C value = static_cast<C>(x);
    const C e = exp(-fabs(value));  // never overflows; the quotient keeps full relative accuracy in both tails
    y = static_cast<T>((value < C(0) ? e : C(1)) / (C(1) + e));
    """,
)

_ERF = Kernel("erf", "T x", "T y", "y = static_cast<T>(erf(static_cast<typename computed_in<T>::type>(x)));")
_ERFC = Kernel("erfc", "T x", "T y", "y = static_cast<T>(erfc(static_cast<typename computed_in<T>::type>(x)));")

# i numbers the lines along the scanned axis; x is contiguous with shape (outer, length, inner).
_CUMULATIVE_MAX = Kernel(
    "cumulative_max",
    "raw T x, int64 length, int64 inner",
    "raw T values, raw int64 places",
    """
    const long long first = (i / inner) * length * inner + i % inner;
    T best = x[first];
    long long place = 0;
    for (long long k = 0; k < length; ++k) {
        const T value = x[first + k * inner];
        if (value >= best || value != value) {  // the last of equal ones; NaN beats everything and stays
            best = value;
            place = k;
        }
        values[first + k * inner] = best;
        places[first + k * inner] = place;
    }
    """,
    types=_NUMBERS,
)

# Adds values (count, inner) to the rows of out. Row order[k] of values goes to row keys[k], and keys ascend. The first
# element of each run of equal keys adds up the run, so the order of additions is fixed.
_SEGMENT_SUM = Kernel(
    "segment_sum",
    "raw int64 keys, raw int64 order, raw T values, int64 count, int64 inner",
    "raw T out",
    """
    const long long row = i / inner, column = i % inner;
    if (row == 0 || keys[row] != keys[row - 1]) {
        const long long target = keys[row] * inner + column;
        T total = out[target];
        for (long long k = row; k < count && keys[k] == keys[row]; ++k) {
            total += values[order[k] * inner + column];
        }
        out[target] = total;
    }
    """,
    types=("float32", "float64", "int32", "int64"),
)

_SGD_STEP = Kernel(
    "sgd_step",
    "T grad, float64 lr, float64 weight_decay, bool maximize",
    "T param",
    """
    typedef typename computed_in<T>::type C;
    C g = static_cast<C>(grad);
    if (maximize) g = -g;
    const C p = static_cast<C>(param);
    g += C(weight_decay) * p;
    param = static_cast<T>(p - C(lr) * g);
    """,
)

_SGD_MOMENTUM_STEP = Kernel(
    "sgd_momentum_step",
    "T grad, float64 lr, float64 momentum, float64 dampening, float64 weight_decay, bool nesterov, bool maximize, "
    "bool first",
    "T param, T buffer",
    """
    typedef typename computed_in<T>::type C;
    C g = static_cast<C>(grad);
    if (maximize) g = -g;
    const C p = static_cast<C>(param);
    g += C(weight_decay) * p;
    const C b = first ? g : C(momentum) * static_cast<C>(buffer) + C(1.0 - dampening) * g;
    buffer = static_cast<T>(b);
    param = static_cast<T>(p - C(lr) * (nesterov ? g + C(momentum) * b : b));
    """,
)

_ADAM_INPUTS = (
    "T grad, float64 step_size, float64 root_of_correction, float64 beta1, float64 beta2, float64 eps, "
    "float64 decay, float64 weight_decay, bool maximize"
)
# decay multiplies the parameter (decoupled), weight_decay adds to the gradient (coupled); one of them is idle.
_ADAM_BODY = """
    typedef typename computed_in<T>::type C;
    C g = static_cast<C>(grad);
    if (maximize) g = -g;
    const C p = static_cast<C>(param) * C(decay);
    g += C(weight_decay) * p;
    const C old_m = static_cast<C>(m);
    const C new_m = old_m + C(1.0 - beta1) * (g - old_m);
    const C new_v = C(beta2) * static_cast<C>(v) + C(1.0 - beta2) * g * g;
    m = static_cast<T>(new_m);
    v = static_cast<T>(new_v);
    C second = new_v;
    %s
    param = static_cast<T>(p + C(step_size) * new_m / (sqrt(second) / C(root_of_correction) + C(eps)));
    """
_KEEP_LARGEST = """
    const C old_largest = static_cast<C>(largest);
    if (!(second >= old_largest) && second == second) second = old_largest;  // NaN wins, as in maximum
    largest = static_cast<T>(second);"""
_ADAM_STEP = Kernel("adam_step", _ADAM_INPUTS, "T param, T m, T v", _ADAM_BODY % "")
_AMSGRAD_STEP = Kernel(
    "amsgrad_step",
    _ADAM_INPUTS,
    "T param, T m, T v, T largest",
    _ADAM_BODY % _KEEP_LARGEST,
)

KERNELS: tuple[Kernel, ...] = (
    _SIGMOID,
    _ERF,
    _ERFC,
    _CUMULATIVE_MAX,
    _SEGMENT_SUM,
    _SGD_STEP,
    _SGD_MOMENTUM_STEP,
    _ADAM_STEP,
    _AMSGRAD_STEP,
)
"""Every kernel of the library."""
