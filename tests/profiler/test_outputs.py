"""Tables, traces and flame graphs."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

import retrograd as rg
from retrograd.profiler.flame import WIDTH, flame_graph, folded
from retrograd.profiler.rows import by_operation, duration, quantity
from retrograd.profiler.timeline import Event
from retrograd.profiler.trace import chrome_trace

MICRO = 1000


def event(name, start, time, self_time, stack, kind="operation", **more):
    start, time, self_time = start * MICRO, time * MICRO, self_time * MICRO
    backward = kind in ("rule", "pass")
    facts = {"scope": (), "thread": 7, **more}
    return Event(name, kind, backward, start, time, self_time, (*stack, name), **facts)


EVENTS = [
    event("Net", 0, 100, 20, (), "module", scope=("Net",)),
    event("matmul", 10, 50, 50, ("Net",), scope=("Net",), shapes=((2, 3), (3, 2)), allocated=16, moved=64),
    event("tanh", 65, 30, 30, ("Net",), scope=("Net",), shapes=((2, 2),), allocated=16, moved=32),
    event("backward pass", 110, 90, 10, (), "pass"),
    event("tanh", 120, 40, 40, ("backward pass",), "rule", scope=("Net",), moved=48),
    event("matmul", 160, 40, 40, ("backward pass",), "rule", scope=("Net",), moved=64),
]


def test_the_table_is_sorted_and_ends_with_the_rest_and_the_total():
    lines = by_operation(EVENTS, 200e-6, shapes=False).table().splitlines()
    assert [line.split("  ")[0] for line in lines[2:]] == [
        "matmul",
        "tanh",
        "backward pass",
        "outside operations",
        "total",
    ]
    assert " ".join(lines[2].split()) == "matmul 1 50.0 µs 40.0 µs 90.0 µs 45.0 % 16 B 128 B 1.4 MiB/s"
    assert " ".join(lines[-1].split()) == "total 200 µs 100.0 %"
    assert max(map(len, lines)) == len(lines[1])


def test_a_table_can_be_sorted_by_any_column_and_cut():
    rows = by_operation(EVENTS, 200e-6, shapes=False)
    assert [row.name for row in rows.sorted("name")] == ["backward pass", "matmul", "tanh"]
    assert [row.name for row in rows.sorted("moved")] == ["matmul", "tanh", "backward pass"]
    assert "… 2 more" in rows.table(row_limit=1)
    with pytest.raises(ValueError, match="sort_by must be one of .* got 'speed'"):
        rows.table(sort_by="speed")


def test_rows_by_shape_tell_the_shapes():
    rows = by_operation(EVENTS, 200e-6, shapes=True)
    assert "2×3; 3×2" in rows.table()


def test_an_unknown_row_names_those_that_there_are():
    with pytest.raises(KeyError, match="no operation 'conv'"):
        by_operation(EVENTS, 200e-6, shapes=False)["conv"]


def test_the_trace_has_every_event_in_microseconds():
    trace = chrome_trace(EVENTS)
    shown = [entry for entry in trace["traceEvents"] if entry["ph"] == "X"]
    assert [(entry["name"], entry["ts"], entry["dur"]) for entry in shown] == [
        (e.name, e.start / 1000, e.time / 1000) for e in EVENTS
    ]
    assert {entry["tid"] for entry in shown} == {0}
    assert shown[1]["args"] == {
        "module": "Net",
        "shapes": [[2, 3], [3, 2]],
        "bytes moved": 64,
        "bytes allocated": 16,
    }


def test_folded_stacks_hold_the_time_of_each_call_alone():
    assert folded(EVENTS) == [
        "Net 20000",
        "Net;matmul 50000",
        "Net;tanh 30000",
        "backward pass 10000",
        "backward pass;matmul 40000",
        "backward pass;tanh 40000",
    ]


def test_boxes_of_the_flame_graph_are_as_wide_as_their_time_and_within_their_callers():
    root = ElementTree.fromstring(flame_graph(EVENTS, 200 * MICRO))
    space = "{http://www.w3.org/2000/svg}"
    boxes = []
    for group in root.iter(f"{space}g"):
        rect, title = group.find(f"{space}rect"), group.find(f"{space}title")
        boxes.append((title.text.partition(":")[0], float(rect.get("y")), float(rect.get("x"))))
    assert boxes == [
        ("all", 4.0, 0.0),
        ("Net", 22.0, 0.0),
        ("matmul", 40.0, 0.0),
        ("tanh", 40.0, WIDTH / 4),
        ("backward pass", 22.0, WIDTH / 2),
        ("tanh", 40.0, WIDTH / 2),
        ("matmul", 40.0, WIDTH * 0.7),
    ]
    widths = [float(group.find(f"{space}rect").get("width")) for group in root.iter(f"{space}g")]
    shares = [1, 0.5, 0.25, 0.15, 0.45, 0.2, 0.2]
    assert widths == pytest.approx([WIDTH * share for share in shares], abs=0.5)


def test_names_are_escaped_in_the_flame_graph():
    picture = flame_graph([event("<lambda> & co", 0, 10, 10, ())], 10 * MICRO)
    ElementTree.fromstring(picture)
    assert "&lt;lambda&gt; &amp; co" in picture


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.5, "2.50 s"), (0.0123, "12.3 ms"), (123e-6, "123 µs"), (0.5e-6, "0.50 µs")]
)
def test_durations_have_the_unit_that_fits(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(0, ""), (12, "12 B"), (2048, "2.0 KiB"), (3 * 2**30, "3.0 GiB")])
def test_bytes_have_the_unit_that_fits(count, text):
    assert quantity(count) == text


def test_a_profile_writes_all_its_files(tmp_path):
    x = rg.ones(3, requires_grad=True)
    with rg.profile() as p:
        (x * 2).sum().backward()
    p.export_chrome_trace(tmp_path / "trace.json")
    p.export_stacks(tmp_path / "stacks.txt")
    p.export_flame_graph(tmp_path / "flame.svg")
    names = {entry["name"] for entry in json.loads((tmp_path / "trace.json").read_text())["traceEvents"]}
    assert {"multiply", "sum", "backward pass"} <= names
    stacks = [line.rpartition(" ")[0] for line in (tmp_path / "stacks.txt").read_text().splitlines()]
    assert {"multiply", "sum", "backward pass;multiply", "backward pass;sum"} <= set(stacks)
    ElementTree.parse(tmp_path / "flame.svg")
    assert "outside operations" in str(p)
