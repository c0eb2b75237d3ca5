"""What pictures leave out, and how they say so: views, depth, rolled-up repetitions, hidden boxes."""

import pytest

import retrograd as rg
from retrograd import nn, viz
from retrograd.viz.picture import Picture
from tests.viz.pictures import Tower, lecture, tower


def drawn(graph, **options):
    return Picture.of(options).prepared(graph)[0]


def boxes(graph):
    return [v.label for v in graph.vertices]


def test_depth_1_shows_the_outermost_modules():
    g = drawn(tower(), depth=1)
    assert boxes(g) == ["x", "first", "blocks", "last", "Sum", "loss"]
    assert g.find("blocks")[0].facts["parameters"] == 6 * 20


def test_a_folded_module_adds_up_what_is_in_it():
    g = drawn(tower(times=True), depth=1, roll=False)
    (blocks,) = g.find("blocks")
    assert blocks.facts["parameters"] == 6 * 20
    assert blocks.facts["operations"] == 18
    assert blocks.shape == (1, 4)
    inside = tower(times=True).find("*", module="blocks")
    assert blocks.facts["flops"] == sum(v.facts.get("flops", 0) for v in inside)


def test_edges_of_a_folded_module_are_those_that_cross_its_border():
    g = drawn(tower(), depth=1)
    assert {(g[e.source].label, g[e.target].label) for e in g.edges} == {
        ("x", "first"),
        ("first", "blocks"),
        ("blocks", "last"),
        ("last", "Sum"),
        ("Sum", "loss"),
    }
    assert len(g.edges) == 5


def test_equal_blocks_are_drawn_once_with_their_number():
    g = drawn(tower(), depth=2)
    (block,) = [v for v in g if v.facts.get("times", 1) > 1]
    assert (block.label, block.facts["times"]) == ("0 … 5", 6)
    assert "×6" in tower().to_dot(depth=2)
    assert len([v for v in drawn(tower(), depth=2, roll=False) if v.facts.get("type") == "Block"]) == 6


def test_an_opened_block_stands_for_all():
    g = drawn(tower(), depth=0)
    assert g.scopes["blocks.0"].times == 6
    assert sum(v.label == "Relu" or v.label == "relu" for v in g) == 1
    assert 'label="0 … 5: Block  ×6"' in tower().to_dot(depth=0)


def test_blocks_of_unequal_shape_are_not_rolled_up():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4), nn.Linear(4, 5))
    with viz.record(model) as g:
        model(rg.ones(1, 2))
    assert len(drawn(g, depth=1).find("*", kind="module")) == 3


def test_a_block_whose_result_is_used_elsewhere_is_not_rolled_up():
    class Skips(Tower):
        def forward(self, x):
            hs = [self.first(x)]
            for block in self.blocks:
                hs.append(block(hs[-1]))
            return self.last(hs[-1] + hs[2])

    model = Skips()
    with viz.record(model) as g:
        model(rg.ones(1, 3))
    assert not any(s.times > 1 for s in drawn(g, depth=0).scopes.values())


def test_modules_are_folded_by_name_or_pattern():
    g = drawn(tower(), depth=0, collapse=["blocks.*"], roll=False)
    assert len([v for v in g if v.facts.get("type") == "Block"]) == 6
    assert "blocks" in boxes(drawn(tower(), depth=0, collapse=["blocks"]))


def test_what_is_too_much_is_hidden_in_a_box_that_says_how_much():
    h = a = rg.tensor(1.0, requires_grad=True)
    for _ in range(1000):
        h = h + a
    g = drawn(viz.graph(h), max_nodes=50)
    (hidden,) = g.find(kind="hidden")
    assert len(g) == 50
    assert hidden.label == "953 nodes hidden"
    assert hidden.facts["hidden"] + len(g) - 1 == 1002
    assert len(g.parents(hidden)) > 0
    assert len(g.children(hidden)) > 0


def test_a_small_graph_is_drawn_whole_and_a_large_one_as_deep_as_it_can_be_read():
    assert len(drawn(lecture())) == len(lecture())
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.TransformerEncoder(layer, 12, enable_nested_tensor=False)
    with viz.record(model) as g:
        model(rg.ones(1, 4, 8))
    assert len(g) > 300
    seen = drawn(g)
    assert len(seen) <= 48
    assert [s.times for s in seen.scopes.values()] == [12]


def test_the_backward_view_runs_from_the_output_to_the_leaves():
    g = drawn(lecture(), view="backward")
    (start,) = g.inputs
    assert start.label == "grad of y"
    assert [v.label for v in g.children(start)] == ["SubBackward0"]
    assert {v.label for v in g if v.kind == "gradient"} == {"grad of y", "grad of x1", "grad of x2"}
    assert {v.phase for v in g} == {"backward"}


def test_both_views_are_joined_by_what_is_kept():
    g = drawn(lecture(), view="both")
    kept = [(g[e.source].label, g[e.target].label) for e in g.edges if e.saved]
    assert sorted(kept) == [
        ("x1", "LogBackward0"),
        ("x1", "MulBackward0"),
        ("x2", "MulBackward0"),
        ("x2", "SinBackward0"),
    ]


def test_a_result_that_is_kept_is_joined_to_its_own_rule():
    x = rg.ones(2, requires_grad=True)
    with viz.record() as g:
        x.exp()
    both = drawn(g, view="both")
    assert [(both[e.source].label, both[e.target].label) for e in both.edges if e.saved] == [("Exp", "ExpBackward0")]


def test_drawing_changes_nothing_of_the_graph():
    g = tower()
    before = g.to_json()
    for options in ({}, {"view": "both", "depth": 1}, {"max_nodes": 5}):
        g.to_dot(**options)
        g.to_mermaid(**options)
        g.to_html(**options)
    assert g.to_json() == before


@pytest.mark.parametrize("view", ["forward", "backward", "both"])
def test_every_edge_of_a_picture_has_both_its_ends(view):
    for depth in (None, 0, 1, 2):
        g = drawn(tower(), view=view, depth=depth)
        ids = {v.id for v in g}
        assert len(ids) == len(g)
        assert all(e.source in ids and e.target in ids for e in g.edges)
