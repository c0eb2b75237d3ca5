"""Tables, ratios and plots from made-up timings."""

import pytest

from benchmarks import report

ROW = {
    "title": "a network",
    "seconds": {"retrograd": [1.0, 4.0, 1.0], "torch": [2.0, 2.0, 4.0], "numpy": [1.0, 1.0, 1.0]},
    "absent": {"mygrad": "has no such layer"},
}
OPERATION = {"title": "add scalar forward", "seconds": {"retrograd": [1e-6], "torch": [2e-6]}, "absent": {}}
TITLES = {"retrograd": "retrograd", "torch": "PyTorch", "mygrad": "MyGrad", "numpy": "NumPy by hand"}


@pytest.fixture
def results() -> dict:
    machine = dict.fromkeys(("cpu", "system", "python", "numpy", "blas", "simd", "date"), "x")
    return {
        "machine": {**machine, "cores": 2, "memory_gib": 8, "threads": 1},
        "settings": {"rounds": 3, "seconds": 0.3, "command": "python benchmarks/run.py"},
        "libraries": {name: {"title": title, "version": "1.0"} for name, title in TITLES.items()},
        "left_out": {"jax": "not installed"},
        "workloads": {"net": ROW},
        "operations": {"add": OPERATION},
    }


def test_a_ratio_is_taken_round_by_round():
    value = report.ratio(ROW, "retrograd", "torch")  # 1/2, 4/2, 1/4; the ratio of the medians would be 1/2 by chance
    assert value == report.Spread(median=0.5, lowest=0.25, highest=2.0)
    assert report.ratio(ROW, "torch", "retrograd") == report.Spread(median=2.0, lowest=0.5, highest=4.0)


def test_the_median_of_ratios_is_not_the_ratio_of_medians():
    row = {"seconds": {"a": [1.0, 2.0, 9.0], "b": [10.0, 1.0, 3.0]}}
    assert report.ratio(row, "a", "b").median == 2.0


def test_there_is_no_ratio_to_a_library_that_is_absent():
    assert report.ratio(ROW, "retrograd", "mygrad") is None
    assert report.ratio(ROW, "mygrad", "torch") is None


def test_the_table_goes_from_the_fastest_to_the_slowest_and_ends_with_what_is_absent_and_why(results):
    header, lines = report.workload_table(results, ROW)
    assert header[3:] == ["÷ PyTorch (min–max)", "÷ NumPy by hand (min–max)"]
    assert [line[0] for line in lines] == ["retrograd", "NumPy by hand", "PyTorch", "MyGrad"]
    assert lines[0][3:] == ["0.50 (0.25–2.00)", "1.00 (1.00–4.00)"]
    assert lines[3] == ["MyGrad", "—", "has no such layer", "—", "—"]


def test_an_operation_a_library_lacks_is_a_dash(results):
    results["operations"]["mul"] = {"title": "mul", "seconds": {"torch": [3e-6]}, "absent": {"retrograd": "reason"}}
    header, lines = report.operations_table(results)
    assert header == ["operation", "retrograd", "PyTorch"]
    assert lines == [["add scalar forward", "1.00", "2.00"], ["mul", "—", "3.00"]]


def test_an_operation_that_a_library_fails_at_says_so(results):
    results["operations"]["mul"] = {"title": "mul", "seconds": {}, "absent": {"numpy": "FAILED: ValueError: no"}}
    header, lines = report.operations_table(results)
    assert header == ["operation", "retrograd", "PyTorch", "NumPy by hand"]
    assert lines[1] == ["mul", "—", "—", "FAILED"]


@pytest.mark.parametrize(("seconds", "text"), [(1.234e-6, "1.23"), (12.34e-6, "12.3"), (0.01234, "12,340")])
def test_times_are_written_in_microseconds(seconds, text):
    assert report.microseconds(seconds) == text


def test_both_reports_name_the_library_that_is_left_out_and_every_row(results):
    for text in (report.markdown(results), report.terminal(results)):
        assert "left out: jax (not installed)" in text
        assert "a network" in text
        assert "add scalar forward" in text


def test_a_markdown_table_has_as_many_cells_in_every_line(results):
    tables = [line for line in report.markdown(results).splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {6, 4}  # five columns of a workload, three of the operations


def test_the_plot_is_written_with_what_there_is(results, tmp_path):
    pytest.importorskip("matplotlib", reason="the plot needs matplotlib")
    report.plot({**results, "operations": {}}, tmp_path / "part.png")
    report.plot(results, tmp_path / "whole.png")
    assert (tmp_path / "whole.png").stat().st_size > (tmp_path / "part.png").stat().st_size > 0
