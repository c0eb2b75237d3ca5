"""`retrograd train MODEL --data DATA`: trains, evaluates, and writes the model, its measures and its pictures."""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import retrograd as rg
from retrograd import data, io, models, nn, optim, viz
from retrograd.backends import backend_of
from retrograd.cli.datasets import NAMES, load

__all__ = ["add_parser"]


class Plan(NamedTuple):
    """What the options are where nobody gives them."""

    epochs: int
    batch_size: int
    lr: float


PLANS = {"digits": Plan(epochs=60, batch_size=32, lr=3e-3)}
PLAN = Plan(epochs=25, batch_size=100, lr=1e-3)


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser("train", help="train a network and write what came of it")
    add = parser.add_argument
    add("model", choices=["mlp"], help="784-100-10 with sigmoids, or as many inputs as the images have pixels")
    add("--data", default="digits", help=f"{', '.join(NAMES)}, or a folder with IDX files (digits)")
    add("--device", help="cpu, cuda or cuda:N (the default device)")
    add("--epochs", type=positive_integer, help="passes over the data (25; digits 60)")
    add("--batch-size", type=positive_integer, help="samples per step (100; digits 32)")
    add("--lr", type=positive_number, help="learning rate of Adam (0.001; digits 0.003)")
    add("--seed", type=int, default=0, help="seed of the initial weights and of the order of the samples (0)")
    add("--out", type=Path, default=Path("runs/mlp"), help="folder for the results (runs/mlp)")
    parser.set_defaults(run=run)


def positive_integer(text: str) -> int:
    """An integer of 1 or more."""
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def positive_number(text: str) -> float:
    """A finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number above 0")
    return value


def run(options: argparse.Namespace) -> None:
    """Trains and writes."""
    device = rg.get_default_device() if options.device is None else rg.device(options.device)
    backend_of(device)  # raises where its library or hardware is missing, before a folder is made
    prepare(options.out)
    given = {name: value for name in Plan._fields if (value := getattr(options, name)) is not None}
    plan = PLANS.get(options.data, PLAN)._replace(**given)
    with device:
        training_set, test_set = load(options.data)
        rg.manual_seed(options.seed)
        model = models.mlp(in_features=math.prod(training_set.tensors[0].shape[1:]))
        started = time.perf_counter()
        history = train(model, training_set, test_set, plan)
        measures = {**evaluate(model, test_set), **history, "seconds": round(time.perf_counter() - started, 3)}
        asked = {name: vars(options)[name] for name in ("model", "data", "seed")}
        write(options.out, model, {**asked, "device": str(device), **plan._asdict(), **measures}, training_set)
    accuracy, loss = measures["test_accuracy"], measures["test_loss"]
    print(f"test accuracy {accuracy:.2%}, test loss {loss:.4f}; results in {options.out}")


def prepare(folder: Path) -> None:
    """Finds out before the training what would stop the writing after it: a missing library, a closed folder."""
    missing = [name for name in ("matplotlib", "safetensors", "tqdm") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f'training needs {", ".join(missing)}: pip install "retrograd[demo]"')
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f"cannot write results to {str(folder)!r}: {error.strerror}") from None


def train(
    model: nn.Module, training_set: data.TensorDataset, test_set: data.TensorDataset, plan: Plan
) -> dict[str, list[float]]:
    """Adam on the cross-entropy; mean loss and test accuracy of every epoch. Raises RuntimeError for a loss of NaN."""
    from tqdm import tqdm

    loader: data.DataLoader[Any] = data.DataLoader(training_set, batch_size=plan.batch_size, shuffle=True)
    optimizer = optim.Adam(model.parameters(), lr=plan.lr)
    loss_of = nn.CrossEntropyLoss()
    losses: list[float] = []
    accuracies: list[float] = []
    with tqdm(total=plan.epochs * len(loader), unit="step", dynamic_ncols=True, disable=None) as bar:
        for epoch in range(1, plan.epochs + 1):
            bar.set_description(f"epoch {epoch}/{plan.epochs}", refresh=False)
            total = 0.0
            for inputs, labels in loader:
                optimizer.zero_grad()
                loss = loss_of(model(inputs), labels)
                loss.backward()
                optimizer.step()
                total += loss.item() * len(inputs)
                bar.update()
            if not math.isfinite(total):
                raise RuntimeError(f"the loss became {total} in epoch {epoch}: try a --lr below {plan.lr:g}")
            losses.append(total / len(training_set))
            accuracies.append(evaluate(model, test_set)["test_accuracy"])
            bar.set_postfix(loss=f"{losses[-1]:.4f}", test_accuracy=f"{accuracies[-1]:.2%}")
    return {"train_loss": losses, "epoch_test_accuracy": accuracies}


def evaluate(model: nn.Module, test_set: data.TensorDataset) -> dict[str, float]:
    """Accuracy and mean cross-entropy over the test set."""
    inputs, labels = test_set.tensors
    model.eval()
    with rg.no_grad():
        logits = model(inputs)
        loss = nn.functional.cross_entropy(logits, labels).item()
        accuracy = (logits.argmax(dim=1) == labels).float().mean().item()
    model.train()
    return {"test_accuracy": accuracy, "test_loss": loss}


def write(folder: Path, model: nn.Module, metrics: dict[str, Any], training_set: data.TensorDataset) -> None:
    """model.safetensors, metrics.json, curves.png and graph.svg; they appear together, when all four are done."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as name:
        new = Path(name)
        io.save_file(model.state_dict(), new / "model.safetensors")
        (new / "metrics.json").write_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n")
        draw_curves(new / "curves.png", metrics)
        draw_graph(new / "graph.svg", model, *training_set[:1])
        for path in new.iterdir():
            path.replace(folder / path.name)


def draw_curves(path: Path, metrics: dict[str, Any]) -> None:
    """Training loss and test accuracy over the epochs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    figure.suptitle(f"{metrics['model']} on {Path(metrics['data']).name}: test accuracy {metrics['test_accuracy']:.2%}")
    left, right = figure.subplots(1, 2)
    epochs = range(1, len(metrics["train_loss"]) + 1)
    left.plot(epochs, metrics["train_loss"], marker=".")
    left.set(xlabel="epoch", ylabel="training loss", yscale="log")
    right.plot(epochs, [100 * accuracy for accuracy in metrics["epoch_test_accuracy"]], marker=".", color="tab:green")
    right.set(xlabel="epoch", ylabel="test accuracy in %")
    for axes in (left, right):
        axes.grid(which="both", alpha=0.3)
    figure.savefig(path, dpi=120)


def draw_graph(path: Path, model: nn.Module, image: rg.Tensor, label: rg.Tensor) -> None:
    """The graph of one sample's loss; as .dot where Graphviz is missing."""
    loss = nn.functional.cross_entropy(model(image), label)
    picture = viz.graph(loss, params={"image": image, **dict(model.named_parameters())})
    try:
        picture.render(path)
    except RuntimeError as error:
        picture.render(path.with_suffix(".dot"))
        print(f"graph.dot written instead of {path.name}: {error}")
