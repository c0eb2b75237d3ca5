"""Pictures of computation graphs: one neutral graph object, several renderers; models as tables, training as curves."""

from retrograd.viz.curves import curves, gradient_norms
from retrograd.viz.frames import Frames, backward_frames
from retrograd.viz.picture import Picture
from retrograd.viz.reading import graph
from retrograd.viz.receptive_field import Field, ReceptiveFields, receptive_field
from retrograd.viz.recorder import record
from retrograd.viz.structure import Edge, Graph, Scope, Vertex
from retrograd.viz.summary import Row, Summary, summary
from retrograd.viz.why import why_no_grad

__all__ = [
    "Edge",
    "Field",
    "Frames",
    "Graph",
    "Picture",
    "ReceptiveFields",
    "Row",
    "Scope",
    "Summary",
    "Vertex",
    "backward_frames",
    "curves",
    "gradient_norms",
    "graph",
    "receptive_field",
    "record",
    "summary",
    "why_no_grad",
]
