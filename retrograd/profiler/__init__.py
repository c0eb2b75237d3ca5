"""Where the time of a program goes: per operation, forward and backward, per module, per optimizer step.

    with rg.profile() as p:
        train_step()
    print(p)                                    # a table
    p.export_chrome_trace("trace.json")         # for chrome://tracing or Perfetto
    p.export_flame_graph("flame.svg")           # for a browser

Outside such a block nothing is measured and nothing costs anything: the block exchanges the library's functions for
ones that take the time, and its end puts them back.
"""

from retrograd.profiler.measure import profile, record_function
from retrograd.profiler.rows import Averages, Row
from retrograd.profiler.timeline import Event

__all__ = ["Averages", "Event", "Row", "profile", "record_function"]
