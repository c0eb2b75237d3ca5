"""Tables, ratios and plots from made-up timings."""

import pytest

from benchmarks import plot, report, summary

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
        "settings": {"rounds": 3, "seconds": 0.3, "memory": "a count", "command": "python benchmarks/run.py"},
        "libraries": {name: {"title": title, "version": "1.0"} for name, title in TITLES.items()},
        "left_out": {"jax": "not installed"},
        "workloads": {"net": ROW},
        "growth": {"width": {"title": "width n", "points": {"1": ROW, "2": ROW}}},
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


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.1234e-6, "0.123"), (1.234e-6, "1.23"), (12.34e-6, "12.3"), (0.01234, "12,340")]
)
def test_times_are_written_in_microseconds(seconds, text):
    assert report.microseconds(seconds) == text


def test_both_reports_name_the_library_that_is_left_out_and_every_row(results):
    for text in (report.markdown(results), report.terminal(results)):
        assert "left out: jax (not installed)" in text
        assert "a network" in text
        assert "add scalar forward" in text


def test_a_markdown_table_has_as_many_cells_in_every_line(results):
    tables = [line for line in report.markdown(results).splitlines() if line.startswith("|")]
    # five columns of a workload, five of a growth curve, three of the operations
    assert [line.count("|") for line in tables] == [6] * 6 + [6] * 4 + [4] * 3


def test_memory_is_told_without_and_with_the_library(results):
    mebibyte = 2**20
    memory = {"retrograd": {"before": 30 * mebibyte, "peak": 40 * mebibyte}}
    header, lines = report.workload_table(results, {**ROW, "memory": memory})
    assert header[-1] == "peak memory, MiB (with the library itself)"
    assert [line[-1] for line in lines] == ["10.0 (40)", "—", "—", "—"]
    assert {len(line) for line in lines} == {len(header)}


def test_a_growth_curve_has_a_line_for_every_size_and_the_ratio(results):
    header, lines = report.growth_table(results, results["growth"]["width"])
    assert header == ["", "retrograd", "PyTorch", "NumPy by hand", "retrograd ÷ PyTorch"]
    assert [line[0] for line in lines] == ["n = 1", "n = 2"]
    assert lines[0][-1] == "0.50 (0.25–2.00)"


def test_the_geometric_mean_weighs_half_and_double_alike():
    assert summary.geometric_mean([0.5, 2.0]) == pytest.approx(1.0)


@pytest.fixture
def with_memory(results) -> dict:
    memory = {"retrograd": {"before": 10, "peak": 10**7 + 10}, "torch": {"before": 100, "peak": 4 * 10**7 + 100}}
    return {**results, "workloads": {"net": {**ROW, "memory": memory}}}


def table(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("|")]


def test_the_summary_has_our_times_with_every_number_of_threads_and_a_column_for_each_other_library(with_memory):
    second = {**with_memory, "machine": {**with_memory["machine"], "threads": 2}}
    text = summary.markdown([with_memory, second])
    assert "one thread; x; 2 threads" in text
    assert "Our own times are with 1 thread / 2 threads" in text
    lines = table(text)
    columns = "training step | ms | retrograd | MyGrad | NumPy by hand | memory"
    assert lines[0] == f"| {columns} |"
    assert lines[2] == "| a network | 1,000 | 0.50 / 0.50 | — | 0.50 | 0.25 |"


def test_a_mean_of_the_summary_is_over_the_workloads_a_column_has_and_says_how_many(with_memory):
    double = {"title": "double", "seconds": {"retrograd": [2.0], "torch": [1.0]}, "absent": {}}
    workloads = {**with_memory["workloads"], "double": double}
    last = table(summary.markdown([{**with_memory, "workloads": workloads}]))[-1]
    assert last == "| **geometric mean** |  | **1.00** (2) | — | **0.50** (1) | **0.25** (1) |"


def test_every_way_of_our_own_has_a_column(with_memory):
    row = with_memory["workloads"]["net"]
    row = {**row, "seconds": {**row["seconds"], "compiled": [0.4, 0.4, 0.4], "numba": [0.2, 0.2, 0.2]}}
    ours = {name: {"title": name, "version": "1"} for name in ("compiled", "numba")}
    libraries = {**with_memory["libraries"], **ours}
    first = {**with_memory, "workloads": {"net": row}, "libraries": libraries}
    second = {**first, "machine": {**first["machine"], "threads": 2}}
    lines = table(summary.markdown([first, second]))
    assert "| retrograd | numba | compiled | MyGrad |" in lines[0]
    assert "| 0.50 / 0.50 | 0.10 / 0.10 | 0.20 / 0.20 | — |" in lines[2]


def test_a_ratio_of_little_memory_is_not_told(results):
    memory = {"retrograd": {"before": 10, "peak": 2000}, "torch": {"before": 100, "peak": 140}}
    text = summary.markdown([{**results, "workloads": {"net": {**ROW, "memory": memory}}}])
    assert "| < 4 MiB |" in text


def test_the_plot_is_written_with_what_there_is(results, tmp_path):
    pytest.importorskip("matplotlib", reason="the plot needs matplotlib")
    plot.plot({**results, "operations": {}, "growth": {}}, tmp_path / "part.png")
    plot.plot(results, tmp_path / "whole.png")
    assert (tmp_path / "whole.png").stat().st_size > (tmp_path / "part.png").stat().st_size > 0
