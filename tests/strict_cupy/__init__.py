"""A stand-in for CuPy that keeps CuPy's rules while computing on the host.

`retrograd/backends/cupy.py` is loaded a second time with this package in CuPy's place (`plugin.py`), so that tests
without a GPU run the backend's real code. Names, signatures and dtype loops come from `signatures.json`, written by
`generate.py` from a real CuPy. It stops what plain NumPy would forgive: host arrays as operands, implicit copies to the
host, integer conversion of arrays, indices out of range (wrapped, as on the GPU, and recorded), duplicates in an
assignment, writes to overlapping views, arguments and dtypes that CuPy lacks, unsuccessful decompositions; in graphs
work that is not captured, memory that was given back, and launches that no stream waits for. It cannot see kernels,
races of other kinds, the order of atomic additions, half-precision accuracy or speed; those need a GPU.
"""
