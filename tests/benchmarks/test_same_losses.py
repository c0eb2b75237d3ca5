"""Every library computes the same thing, so that their times can be compared."""

from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.libraries import LIBRARIES
from benchmarks.run import Worker
from benchmarks.workloads import OPERATIONS, WORKLOADS

OTHERS = [name for name in LIBRARIES if name != "numpy"]
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


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("library", OTHERS)
def test_five_steps_give_the_losses_of_the_network_written_by_hand(library, workload, workers):
    by_hand = workers.ask("numpy", do="values", workload=workload, steps=STEPS)["values"]
    answer = workers.ask(library, do="values", workload=workload, steps=STEPS)
    assert "failed" not in answer, answer["failed"]
    np.testing.assert_allclose(answer["values"], by_hand, rtol=2e-5)


@pytest.mark.parametrize("direction", ["forward", "forward+backward"])
@pytest.mark.parametrize("library", OTHERS)
def test_an_operation_gives_the_values_and_gradients_written_by_hand(library, direction, workers):
    for row in OPERATIONS:
        request = {"do": "values", "workload": f"{row} {direction}", "steps": 1}
        by_hand = workers.ask("numpy", **request)["values"]
        answer = workers.ask(library, **request)
        assert "failed" not in answer, f"{row}: {answer['failed']}"
        np.testing.assert_allclose(answer["values"], by_hand, rtol=1e-4, atol=1e-5, err_msg=row)


def test_the_networks_learn(workers):
    for workload in ("circle", "mlp", "wide"):
        losses = workers.ask("numpy", do="values", workload=workload, steps=30)["values"]
        assert losses[-1] < losses[0]


def test_a_step_that_fails_is_an_answer_and_the_process_lives_on(workers):
    assert workers.ask("numpy", do="time", workload="cube (8,) forward", seconds=0)["failed"].startswith("KeyError")
    assert workers.ask("numpy", do="time", workload="add (8,) forward", seconds=0)["seconds"] > 0
