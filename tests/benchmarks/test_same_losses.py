"""Every library computes the same thing, so that their times can be compared."""

from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.libraries import LIBRARIES
from benchmarks.programs import Program
from benchmarks.run import Worker
from benchmarks.workloads import GROWN, OPERATIONS, WORKLOADS

OTHERS = [name for name in LIBRARIES if name != "numpy"]
PROGRAMS = [name for name, workload in WORKLOADS.items() if isinstance(workload, Program)]
BY_HAND = [name for name in WORKLOADS if name not in PROGRAMS]
SHORT = [name for name in GROWN if name.endswith((" 1", " 8", " 10", " 16", " 32"))]
STEPS = 5


class Workers:
    """Library processes, started when first asked for."""

    def __init__(self) -> None:
        self.running: dict[str, Worker] = {}

    def ask(self, library: str, **request: object) -> dict:
        if library not in self.running:
            self.running[library] = Worker(library, threads=1)
        worker = self.running[library]
        if worker.greeting.get("left_out") == "not installed":
            pytest.skip(f"{library} is not installed")
        assert "version" in worker.greeting, worker.greeting
        answer = worker.ask(**request)
        if "not_applicable" in answer:
            pytest.skip(answer["not_applicable"])
        return answer


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    started = Workers()
    yield started
    for worker in started.running.values():
        worker.close()


@pytest.mark.parametrize("workload", BY_HAND)
@pytest.mark.parametrize("library", OTHERS)
def test_five_steps_give_the_losses_of_the_network_written_by_hand(library, workload, workers):
    by_hand = workers.ask("numpy", do="values", workload=workload, steps=STEPS)["values"]
    answer = workers.ask(library, do="values", workload=workload, steps=STEPS)
    assert "failed" not in answer, answer["failed"]
    np.testing.assert_allclose(answer["values"], by_hand, rtol=2e-5)


@pytest.mark.parametrize("workload", PROGRAMS)
@pytest.mark.parametrize("library", [name for name in LIBRARIES if name != "torch"])
def test_five_steps_of_a_program_compute_what_they_do_in_pytorch(library, workload, workers):
    theirs = workers.ask("torch", do="values", workload=workload, steps=STEPS)["values"]
    answer = workers.ask(library, do="values", workload=workload, steps=STEPS)
    assert "failed" not in answer, answer["failed"]
    for mine, their in zip(answer["values"], theirs, strict=True):
        np.testing.assert_allclose(mine, their, rtol=2e-5, atol=2e-5 * np.abs(their).max())


@pytest.mark.parametrize("workload", SHORT)
@pytest.mark.parametrize("library", ["retrograd", "jax", "autograd", "mygrad"])
def test_points_of_the_growth_curves_compute_what_they_do_in_pytorch(library, workload, workers):
    theirs = workers.ask("torch", do="values", workload=workload, steps=2)["values"]
    answer = workers.ask(library, do="values", workload=workload, steps=2)
    assert "failed" not in answer, answer["failed"]
    np.testing.assert_allclose(answer["values"], theirs, rtol=2e-5)


@pytest.mark.parametrize("direction", ["forward", "forward+backward"])
@pytest.mark.parametrize("library", OTHERS)
def test_an_operation_gives_the_values_and_gradients_written_by_hand(library, direction, workers):
    for row in OPERATIONS:
        request = {"do": "values", "workload": f"{row} {direction}", "steps": 1}
        by_hand = workers.ask("numpy", **request)["values"]
        answer = workers.ask(library, **request)
        assert "failed" not in answer, f"{row}: {answer['failed']}"
        np.testing.assert_allclose(answer["values"], by_hand, rtol=1e-4, atol=1e-5, err_msg=row)


@pytest.mark.parametrize("workload", ["circle", "mlp", "autoencoder", "wide"])
def test_the_networks_learn(workload, workers):
    losses = workers.ask("numpy", do="values", workload=workload, steps=30)["values"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("workload", ["lenet", "two-conv", "resnet8", "lstm", "transformer", "embedding"])
def test_the_programs_learn(workload, workers):
    losses = workers.ask("retrograd", do="values", workload=workload, steps=15)["values"]
    assert losses[-1] < losses[0]


def test_peak_memory_holds_the_operands_and_less_than_ten_times_as_much():
    worker = Worker("numpy", threads=1)
    answer = worker.ask(do="memory", workload="elementwise")
    worker.close()
    assert 2 * 16e6 < answer["peak"] - answer["before"] < 10 * 16e6  # x and its gradient, 16 MB each


def test_a_step_that_fails_is_an_answer_and_the_process_lives_on(workers):
    assert workers.ask("numpy", do="time", workload="cube (8,) forward", seconds=0)["failed"].startswith("KeyError")
    assert workers.ask("numpy", do="time", workload="add (8,) forward", seconds=0)["seconds"] > 0
