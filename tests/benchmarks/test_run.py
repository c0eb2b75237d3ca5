"""The command line, the order of measurements and what is written."""

import json
import platform
import socket
import sys
from pathlib import Path

import pytest

from benchmarks import machine, run, worker
from benchmarks.libraries import LIBRARIES, Entry


class Recorder:
    """A library that answers at once and keeps the order of the questions."""

    def __init__(self, name: str, order: list[str], answers: list[dict]) -> None:
        self.name, self.order, self.answers = name, order, answers

    def ask(self, **request: object) -> dict:
        self.order.append(self.name)
        return self.answers.pop(0)


def test_rounds_go_through_the_libraries_in_turn():
    order: list[str] = []
    libraries = [Recorder(name, order, [{"seconds": n} for n in (3.0, 1.0, 2.0)]) for name in "ABC"]
    row = run.measure(libraries, "circle", "a title", rounds=3, seconds=0)
    assert order == list("ABCABCABC")
    assert row == {"title": "a title", "seconds": {name: [3.0, 1.0, 2.0] for name in "ABC"}, "absent": {}}


@pytest.mark.parametrize("threads", [1, 2])
def test_growth_and_operations_take_half_of_the_rounds_and_memory_is_taken_with_the_first_threads(threads, monkeypatch):
    taken: list[tuple[str, int]] = []
    remembered: list[str] = []

    def measure(workers: list, name: str, title: str, rounds: int, seconds: float) -> dict:
        taken.append((name, rounds))
        return {"title": title, "seconds": {"retrograd": [1.0] * rounds}, "absent": {}}

    def measure_memory(names: list[str], threads: int, workload: str) -> dict:
        remembered.append(workload)
        return {}

    monkeypatch.setattr(run, "start", lambda names, threads: ([], {}))
    monkeypatch.setattr(run, "measure", measure)
    monkeypatch.setattr(run, "measure_memory", measure_memory)
    options = run.parse(["--workloads", "circle,growth,operations", "--rounds", "4"])
    options.threads = [1, 2]
    run.run(options, threads)
    assert dict(taken)["circle"] == 4
    assert {rounds for name, rounds in taken if name != "circle"} == {2}
    assert remembered == (["circle"] if threads == 1 else [])


def test_a_library_that_fails_or_has_nothing_to_measure_is_absent_and_not_asked_again():
    order: list[str] = []
    libraries = [
        Recorder("A", order, [{"not_applicable": "no optimizer"}]),
        Recorder("B", order, [{"seconds": 1.0}, {"failed": "ValueError: no"}]),
        Recorder("C", order, [{"seconds": 1.0}, {"seconds": 1.0}]),
    ]
    row = run.measure(libraries, "circle", "a title", rounds=2, seconds=0)
    assert order == list("ABCBC")
    assert row["seconds"] == {"C": [1.0, 1.0]}
    assert row["absent"] == {"A": "no optimizer", "B": "FAILED: ValueError: no"}
    line = "B, a title: FAILED: ValueError: no"
    assert run.failures({"workloads": {"x": row}, "operations": {}, "growth": {}}) == [line]
    assert run.failures({"workloads": {}, "operations": {}, "growth": {"width": {"points": {1: row}}}}) == [line]


def test_a_library_that_is_not_installed_says_so(monkeypatch):
    monkeypatch.setitem(LIBRARIES, "torch", Entry("torch_eager", "torch", "PyTorch"))
    monkeypatch.setitem(sys.modules, "torch", None)  # what Python does for a module it must not find
    monkeypatch.delitem(sys.modules, "benchmarks.libraries.torch_eager", raising=False)
    assert worker.load("torch", threads=1) == (None, {"left_out": "not installed"})


def test_a_library_that_lacks_one_of_its_own_dependencies_is_not_called_missing(monkeypatch):
    monkeypatch.setitem(LIBRARIES, "broken", Entry("no_such_file", "broken", "Broken"))
    _, greeting = worker.load("broken", threads=1)
    assert greeting["left_out"].startswith("cannot be imported: ModuleNotFoundError")


def test_an_error_in_the_results_names_files_but_no_folders():
    error = ImportError("cannot import name 'x' from 'y' (/home/someone/site-packages/y/__init__.py)")
    assert worker.summary(error) == "ImportError: cannot import name 'x' from 'y' (__init__.py)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--against", "caffe"],
            "--against: unknown 'caffe'; choose from compiled, numba, compiled-numba, torch, jax, autograd, mygrad, "
            "numpy",
        ),
        (
            ["--workloads", "resnet"],
            "--workloads: unknown 'resnet'; choose from chain, circle, mlp, autoencoder, ",
        ),
        (["--rounds", "0"], "--rounds: must be at least 1, got 0"),
        (["--threads", "-1"], "--threads: must be at least 1, got -1"),
        (["--threads", "1,0"], "--threads: must be at least 1, got 0"),
        (["--threads", "1,100000"], "--threads 100000: this machine has"),
    ],
)
def test_a_wrong_option_is_refused_with_the_known_ones(arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        run.parse(arguments)
    assert message in capsys.readouterr().err


def test_pytorch_brings_its_fused_adam_along_and_retrograd_is_always_measured():
    assert run.parse(["--against", "numpy,torch"]).libraries == ["retrograd", "numpy", "torch", "torch-fused"]


def test_a_quick_run_takes_fewer_and_shorter_rounds_unless_told_otherwise():
    quick, usual = run.parse(["--quick"]), run.parse([])
    assert (quick.rounds, usual.rounds) == (2, 7)
    assert quick.shorter > usual.shorter == 1
    assert run.parse(["--quick", "--rounds", "5"]).rounds == 5


def test_the_command_in_the_results_repeats_the_run():
    options = run.parse(["--against", "torch", "--workloads", "circle,growth", "--threads", "1", "--quick"])
    again = run.parse(run.command(options).split()[2:])
    assert vars(again) == vars(options)


def test_the_machine_is_described_without_its_name_or_its_paths(monkeypatch):
    monkeypatch.setattr(platform, "node", lambda: "name-of-the-host")
    monkeypatch.setattr(socket, "gethostname", lambda: "name-of-the-host")
    description = machine.describe(threads=1)
    assert {"cpu", "cores", "python", "numpy", "blas", "threads", "date"} <= description.keys()
    text = json.dumps(description)
    assert "name-of-the-host" not in text
    assert str(Path.home()) not in text
    assert str(run.ROOT) not in text


def test_a_run_writes_json_markdown_a_plot_and_a_summary(tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="the plot needs matplotlib")
    arguments = ["--against", "numpy", "--workloads", "circle", "--rounds", "1", "--quick", "--out", str(tmp_path)]
    assert run.main(arguments) == 0
    written = ["summary.md", "threads-1.json", "threads-1.md", "threads-1.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == written
    results = json.loads((tmp_path / "threads-1.json").read_text(encoding="utf-8"))
    row = results["workloads"]["circle"]
    assert set(row["seconds"]) == set(row["memory"]) == {"retrograd", "numpy"}
    assert all(0 < value < 1 for values in row["seconds"].values() for value in values)
    assert all(1e6 < measured["before"] <= measured["peak"] < 4e9 for measured in row["memory"].values())
    assert "circle 2-8-1" in capsys.readouterr().out
