"""`retrograd train MODEL --data DATA`: trains, evaluates, and writes the model, its measures and its pictures."""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import retrograd as rg
from retrograd import io, viz
from retrograd.backends import backend_of
from retrograd.cli.datasets import NAMES
from retrograd.cli.recipes import PROGRAMS, Plan, Recipe
from retrograd.cli.recipes.recipe import Measure

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "train",
        help="train a network and write what came of it",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="models:\n" + "\n".join(f"  {name:16}{program.about}" for name, program in PROGRAMS.items()),
    )
    add = parser.add_argument
    add("model", choices=list(PROGRAMS), metavar="MODEL", help="one of the models below")
    add("--data", help=f"{', '.join(NAMES)}, a folder with IDX files, or a text file (what suits the model)")
    add("--device", help="cpu, cuda or cuda:N (the default device)")
    add("--epochs", type=positive_integer, help="passes over the data (what suits the model)")
    add("--batch-size", type=positive_integer, help="samples per step (what suits the model)")
    add("--lr", type=positive_number, help="learning rate (what suits the model)")
    add("--seed", type=int, default=0, help="seed of the initial weights and of the order of the samples (0)")
    add("--out", type=Path, help="folder for the results (runs/MODEL)")
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
    program = PROGRAMS[options.model]
    name, out = options.data or program.recipe.DATA, options.out or Path("runs", options.model)
    given = {field: value for field in Plan._fields if (value := getattr(options, field)) is not None}
    plan = (program.recipe.PLANS.get(name) or program.plan or program.recipe.PLAN)._replace(**given)
    prepare(out)
    with device:
        sets = program.recipe.load(name)
        rg.manual_seed(options.seed)
        training = program.recipe(program, sets, plan)
        started = time.perf_counter()
        history, measures = train(training)
        seconds = round(time.perf_counter() - started, 3)
        asked = {"model": options.model, "data": name, "seed": options.seed, "device": str(device), **plan._asdict()}
        write(out, training, {**asked, **measures, **history, "seconds": seconds})
    print(f"{described(training, measures)}; results in {out}")


def described(training: Recipe, measures: dict[str, float]) -> str:
    """The measures in words, the one that counts first."""
    first = training.MEASURE
    rest = {name: f"{value:.4f}" for name, value in measures.items() if name != first.name}
    found = {first.name: f"{measures[first.name]:{first.format}}", **rest}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in found.items())


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


def train(training: Recipe) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Mean losses and the measure of every epoch, and all measures after the last one.

    Raises RuntimeError for a loss that is NaN or infinite.
    """
    from tqdm import tqdm

    loader, plan, measure = training.batches(), training.plan, training.MEASURE
    history: dict[str, list[float]] = {}
    measures: dict[str, float] = {}
    with tqdm(total=plan.epochs * len(loader), unit="step", dynamic_ncols=True, disable=None) as bar:
        for epoch in range(1, plan.epochs + 1):
            bar.set_description(f"epoch {epoch}/{plan.epochs}", refresh=False)
            totals: dict[str, float] = {}
            for batch in loader:
                for name, value in training.step(batch).items():
                    totals[name] = totals.get(name, 0.0) + value
                bar.update()
            for name, total in totals.items():
                if not math.isfinite(total):
                    raise RuntimeError(f"the {name} became {total} in epoch {epoch}: try a --lr below {plan.lr:g}")
                history.setdefault(f"train_{name}", []).append(total / len(loader))
            measures = evaluate(training)
            value = measures[measure.name]
            history.setdefault(f"epoch_{measure.name}", []).append(value)
            bar.set_postfix_str(f"loss={history['train_loss'][-1]:.4f}, {measure.name}={value:{measure.format}}")
    return history, measures


def evaluate(training: Recipe) -> dict[str, float]:
    """The measures over the test samples."""
    training.model.eval()
    with rg.no_grad():
        measures = training.measure()
    training.model.train()
    return measures


def write(folder: Path, training: Recipe, metrics: dict[str, Any]) -> None:
    """Model, metrics, curves, graph and what the recipe adds; all files appear together, when the last is done."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as name:
        new = Path(name)
        io.save_file(training.model.state_dict(), new / "model.safetensors")
        (new / "metrics.json").write_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n")
        draw_curves(new / "curves.png", metrics, training.MEASURE)
        training.model.eval()
        with rg.no_grad():
            for file, figure in training.pictures().items():
                figure.savefig(new / file, dpi=120)
            for file, text in training.texts().items():
                (new / file).write_text(text)
        draw_graph(new / "graph.svg", training)
        for path in new.iterdir():
            path.replace(folder / path.name)


def draw_curves(path: Path, metrics: dict[str, Any], measure: Measure) -> None:
    """The training losses and the measure over the epochs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    found = f"{measure.name.replace('_', ' ')} {metrics[measure.name]:{measure.format}}"
    figure.suptitle(f"{metrics['model']} on {Path(metrics['data']).name}: {found}")
    left, right = figure.subplots(1, 2)
    losses = {name: values for name, values in metrics.items() if name.startswith("train_")}
    epochs = range(1, len(metrics["train_loss"]) + 1)
    for name, values in losses.items():
        left.plot(epochs, values, marker=".", label=name.removeprefix("train_").replace("_", " "))
    positive = min(map(min, losses.values())) > 0
    left.set(xlabel="epoch", ylabel="training loss", yscale="log" if positive else "linear")
    if len(losses) > 1:
        left.legend()
    right.plot(epochs, metrics[f"epoch_{measure.name}"], marker=".", color="tab:green")
    right.set(xlabel="epoch", ylabel=measure.name.replace("_", " "))
    for axes in (left, right):
        axes.grid(which="both", alpha=0.3)
    figure.savefig(path, dpi=120)


def draw_graph(path: Path, training: Recipe) -> None:
    """The graph of one sample's loss; as .dot where Graphviz is missing."""
    picture = viz.graph(training.example(), params=dict(training.model.named_parameters()))
    try:
        picture.render(path)
    except RuntimeError as error:
        picture.render(path.with_suffix(".dot"))
        print(f"graph.dot written instead of {path.name}: {error}")
