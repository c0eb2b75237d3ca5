"""What every way of training has in common: data, a model, a step, measures and pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from retrograd import Tensor, data, nn, optim

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Measure", "Plan", "Program", "Recipe", "Sets"]


class Plan(NamedTuple):
    """What the options are where nobody gives them."""

    epochs: int
    batch_size: int
    lr: float


class Sets(NamedTuple):
    """The samples to learn from, and those that tell what was learned."""

    training: Any
    test: Any


class Measure(NamedTuple):
    """The one number that says how good a model is: its name in metrics.json, and how it is written for people."""

    name: str
    format: str


class Program(NamedTuple):
    """What `retrograd train NAME` runs."""

    recipe: type[Recipe]
    network: Callable[..., nn.Module]
    about: str
    """One line for the help."""
    plan: Plan | None = None
    """Settings other than the recipe's own."""
    size: int | None = None
    """Height and width of the images that the network takes, where it takes one size alone."""


class Recipe:
    """One training in progress: `model` learns from `sets.training` with `optimizer`.

    A subclass says how to load its data, how to build the model, what the loss of a batch is, what to measure and what
    to draw; one with more than one optimizer writes `step` anew.
    """

    DATA: ClassVar[str] = "mnist"
    """The data set where none is named."""
    PLAN: ClassVar[Plan] = Plan(epochs=10, batch_size=100, lr=1e-3)
    PLANS: ClassVar[dict[str, Plan]] = {}
    """Plans of data sets that need another one."""
    MEASURE: ClassVar[Measure] = Measure("test_loss", ".4f")

    def __init__(self, program: Program, sets: Sets, plan: Plan) -> None:
        self.program, self.sets, self.plan = program, sets, plan
        self.model = self.build()
        self.optimizer = self.optimize()
        self.schedule = self.scheduled()

    @classmethod
    def load(cls, name: str) -> Sets:
        """The data set of a name, or in a file or folder, on the default device."""
        raise NotImplementedError

    def build(self) -> nn.Module:
        """The network, fitted to the data."""
        return self.program.network()

    def optimize(self) -> optim.Optimizer:
        """What updates the parameters."""
        return optim.Adam(self.model.parameters(), lr=self.plan.lr)

    def scheduled(self) -> Any:
        """What changes the learning rate after every step, or None."""
        return None

    def batches(self) -> data.DataLoader[Any]:
        """The training samples in a new order."""
        return data.DataLoader(self.sets.training, batch_size=self.plan.batch_size, shuffle=True)

    def loss(self, batch: Any) -> Tensor:
        """What the optimizer makes smaller."""
        raise NotImplementedError

    def step(self, batch: Any) -> dict[str, float]:
        """One update; the losses of the batch by name, the main one as "loss"."""
        self.optimizer.zero_grad()
        loss = self.loss(batch)
        loss.backward()
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        return {"loss": loss.item()}

    def measure(self) -> dict[str, float]:
        """What the model is worth on the test samples; the model is in eval mode and nothing is recorded."""
        raise NotImplementedError

    def pictures(self) -> dict[str, Figure]:
        """Figures by the name of their file, drawn after the training in eval mode: samples, reconstructions."""
        return {}

    def texts(self) -> dict[str, str]:
        """Texts by the name of their file: what a language model writes."""
        return {}

    def example(self) -> Tensor:
        """The loss of one sample, whose graph is drawn."""
        samples: data.DataLoader[Any] = data.DataLoader(self.sets.training, batch_size=1)
        return self.loss(next(iter(samples)))
