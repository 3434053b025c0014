"""The full run, and what people say of its recipe, measured: the tables and pictures of docs/results.md.

    make results                                              150 epochs, three seeds, nine recipes: on a GPU, hours
    make results RESULTS_FLAGS='--precision tf32'             with tensor cores
    .venv-bench/bin/python worker/benches/results.py --epochs 2 --seeds 1 --train-samples 1000 --device cpu

Every recipe runs once for each seed, in a folder of its own under --directory. What is there already is not trained
again, and a run that was cut off goes on from its last checkpoint, so the command can simply be given once more. What was
begun with other settings, or on another model of GPU or processor, it leaves as it is and says so. The tables are written
to --directory, and into docs/results.md (with the pictures into docs/images/) only when everything was trained in full.

A run's time is that of its training steps; evaluation and pictures are not in it.
"""

import argparse
import importlib.util
import json
import shlex
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

# The modules beside this one leave no compiled copy in the source tree.
sys.dont_write_bytecode = True
import hardware  # noqa: E402
import programs  # noqa: E402
from pages import fill, table  # noqa: E402
from programs import PROJECT  # noqa: E402
from watched_run import Run, Trouble, end_in_order_when_terminated  # noqa: E402

PAGE = PROJECT / "docs/results.md"
IMAGES = PROJECT / "docs/images"
FULL_EPOCHS, FULL_SEEDS, FULL_SAMPLES = 150, 3, 60_000
# The epochs that the classic figures show, and how often a picture is drawn so that they are among them.
SHOWN_EPOCHS = [0, 10, 50, 149]
PICTURE_EVERY = 10
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Recipe:
    """One way to train, as flags beside the defaults."""

    name: str
    title: str
    flags: tuple


RECIPES = [
    Recipe("center", "softmax and center loss, the defaults", ()),
    Recipe("softmax", "softmax loss only", ("--loss", "softmax")),
    Recipe("cross-entropy", "cross-entropy of the raw scores", ("--loss", "cross-entropy")),
    Recipe("one-rate", "centers at the network's rate, 0.001", ("--center-lr", "0.001")),
    Recipe("one-rate-momentum", "centers at 0.01, what 0.001 with momentum 0.9 comes to", ("--center-lr", "0.01")),
    Recipe("no-momentum", "SGD without momentum", ("--momentum", "0")),
    Recipe("no-schedule", "SGD with momentum, constant rate", ("--lr-schedule", "constant")),
    Recipe("adam", "Adam", ("--optimizer", "adam")),
    Recipe("mlp", "fully connected network", ("--network", "mlp")),
]
BY_NAME = {recipe.name: recipe for recipe in RECIPES}

# The claims, and the recipes whose rows stand under each.
CLAIMS = {
    "nll": ["softmax", "cross-entropy"],
    "optimizers": ["center", "one-rate", "one-rate-momentum"],
    "sgd": ["center", "no-momentum", "no-schedule"],
    "adam": ["center", "adam"],
    "network": ["center", "mlp"],
}


# ---- one run --------------------------------------------------------------------------------------------------------


class Training:
    """One recipe with one seed."""

    def __init__(self, recipe, seed, arguments):
        self.recipe, self.seed, self.arguments = recipe, seed, arguments
        self.directory = arguments.directory / f"{recipe.name}-{seed}"
        # Beside the folder, which the coordinator owns: what it was begun with, and whether it is complete.
        self.notes = arguments.directory / f"{recipe.name}-{seed}.json"
        self.run, self.is_stopping = None, False

    def flags(self):
        arguments = self.arguments
        flags = [
            "--dataset", str(arguments.data_dir), "--epochs", str(arguments.epochs), "--seed", str(self.seed),
            "--picture-every", str(PICTURE_EVERY), "--precision", arguments.precision, *self.recipe.flags,
        ]
        if arguments.train_samples:
            flags += ["--train-samples", str(arguments.train_samples)]
        return flags

    def note(self, complete):
        noted = {"device": self.arguments.device.model, "flags": self.flags(), "complete": complete}
        self.notes.write_text(json.dumps(noted) + "\n")

    def refuse_other(self, noted):
        """Ends the script where a run was begun elsewhere or otherwise."""
        then, now = noted.get("device", "a device that is not noted"), self.arguments.device.model
        if then == now:
            then, now = shlex.join(noted["flags"]), shlex.join(self.flags())
        if then != now:
            sys.exit(f"{self.directory} was begun with\n  {then}, not with\n  {now}\ngive another --directory, or remove "
                     f"this one and {self.notes.name} beside it")

    def complete(self):
        """Trains what is not trained yet."""
        noted = json.loads(self.notes.read_text()) if self.notes.is_file() else None
        if noted:
            self.refuse_other(noted)
            if noted["complete"]:
                return
        resume = (self.directory / "checkpoints/last.safetensors").is_file()
        if self.directory.exists() and not (noted and resume):
            sys.exit(f"{self.directory} holds a run that cannot go on from a checkpoint of this script: remove it")
        print(f"{self.directory.name}: training", file=sys.stderr, flush=True)
        self.note(complete=False)
        arguments = self.arguments
        flags = ["--workers", "1", "--spawn", *self.flags()]
        with Run(arguments.programs, self.directory, flags, arguments.device.flag, resume) as self.run:
            try:
                self.run.to_the_end(self.look)
            except Trouble as trouble:
                sys.exit(f"{self.directory.name}: {trouble}; mend the cause and give the command again\n{self.run.report()}")
        self.note(complete=True)

    def look(self):
        """Stops the run in order where that is wanted, so that it leaves a checkpoint; else how long to leave it alone."""
        if self.is_stopping:
            self.run.terminate()
            raise Trouble("was stopped")
        return LOOK_SECONDS

    def lines(self, kind):
        lines = (self.directory / "metrics.jsonl").read_text().splitlines()
        return [line for line in map(json.loads, lines) if line["kind"] == kind]

    def last(self):
        return self.lines("epoch")[-1]

    def training_seconds(self):
        samples = self.arguments.train_samples or FULL_SAMPLES
        return sum(samples / line["images_per_second"] for line in self.lines("epoch"))


# ---- tables ---------------------------------------------------------------------------------------------------------


def spread(values, digits, factor=1):
    """The mean, and the smallest and largest of several."""
    values = [factor * value for value in values if value is not None]
    if not values:
        return "–"
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def row(recipe, runs, title=None):
    ends = [run.last() for run in runs[recipe]]
    of = lambda key: [end[key] for end in ends]  # noqa: E731
    minutes = [run.training_seconds() / 60 for run in runs[recipe]]
    return [
        title or BY_NAME[recipe].title, spread(of("test_accuracy"), 2, 100), spread(of("intra_distance"), 2),
        spread(of("inter_distance"), 2), spread(of("distance_ratio"), 3), spread(minutes, 1),
    ]


HEADER = [
    "", "test accuracy, %", "intra-class distance", "inter-class distance", "ratio", "training, minutes",
]


def tables(runs):
    """The page's tables by the names of their markers."""
    found = {"main": table(HEADER, [row(recipe, runs) for recipe in ("center", "softmax") if recipe in runs])}
    for claim, recipes in CLAIMS.items():
        if all(recipe in runs for recipe in recipes):
            found[claim] = table(HEADER, [row(recipe, runs) for recipe in recipes])
    if all(recipe in runs for recipe in CLAIMS["nll"]):
        found["nll-losses"] = nll_losses(*(runs[recipe] for recipe in CLAIMS["nll"]))
    return found


def nll_losses(nll, cross_entropy):
    """How far the two losses are apart while the same parameters are trained with either."""
    rows = []
    for one, other in zip(nll, cross_entropy):
        pairs = list(zip(one.lines("step"), other.lines("step"), strict=True))
        first_epoch = [pair for pair in pairs if pair[0]["epoch"] == 0]
        largest = lambda some: max(abs(a["softmax_loss"] - b["softmax_loss"]) for a, b in some)  # noqa: E731
        rows.append([str(one.seed), *(f"{largest(some):.1e}" for some in (pairs[:1], first_epoch, pairs))])
    return table(["seed", "first step", "largest in the first epoch", "largest in the run"], rows)


def draw(runs, folder):
    """The pictures of the first seed, a row of epochs for each loss."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for recipe in ("center", "softmax"):
        if recipe in runs:
            run = runs[recipe][0]
            epochs = sorted({min(epoch, run.arguments.epochs - 1) for epoch in SHOWN_EPOCHS})
            paths = [run.directory / f"pictures/epoch={epoch}.png" for epoch in epochs]
            picture = f"results-{recipe}.png"
            from montage import montage

            montage([path for path in paths if path.is_file()], folder / picture)
            drawn.append(f"![Features after epochs {', '.join(map(str, epochs))}, {BY_NAME[recipe].title}](images/{picture})")
    return "\n\n".join(drawn)


def provenance(arguments, everything):
    driver = "" if arguments.device.flag == "cpu" else hardware.driver()
    at_once = f", {arguments.jobs} runs at a time" if arguments.jobs > 1 else ""
    return (
        f"`{shlex.join(['worker/benches/results.py', *sys.argv[1:]])}`\n\n{arguments.device}{driver}, "
        f"{hardware.machine()}; {arguments.epochs} epochs, seeds 0 to {arguments.seeds - 1}, "
        f"precision {arguments.precision}{at_once}; {len(everything)} runs, "
        f"{sum(run.training_seconds() for run in everything) / 3600:.1f} hours of training in all, "
        f"{time.strftime('%Y-%m-%d')}."
    )


# ---- the command line -----------------------------------------------------------------------------------------------


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    programs.add_flags(parser)
    parser.add_argument("--directory", type=Path, default=PROJECT / "runs/results", help="folder of all runs; 100 MB each")
    parser.add_argument("--epochs", type=int, default=FULL_EPOCHS)
    parser.add_argument("--seeds", type=int, default=FULL_SEEDS, help="runs of each recipe, with seeds 0, 1, …")
    parser.add_argument("--train-samples", type=int, help="the first K only [default: all]")
    parser.add_argument("--device", metavar="cpu|cuda:I", help="of the workers [default: cuda:0 where they see it, else cpu]")
    parser.add_argument("--precision", default="f32", choices=["f32", "tf32", "f64"])
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; times are then those of a shared device")
    parser.add_argument("--only", nargs="+", choices=list(BY_NAME), help="these recipes")
    arguments = parser.parse_args()
    if min(arguments.epochs, arguments.seeds, arguments.jobs) < 1:
        parser.error("--epochs, --seeds and --jobs must be at least 1")
    if arguments.device == "cpu" and arguments.precision == "tf32":
        parser.error("--precision tf32 is a GPU's: leave it out with --device cpu")
    programs.check_flags(arguments, parser)
    if importlib.util.find_spec("PIL") is None:
        parser.error("pictures are put together with Pillow, which this Python lacks: use `make results`, which brings it")
    arguments.device = hardware.choose(arguments.programs, arguments.device)
    arguments.directory = arguments.directory.resolve()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    return arguments


def is_full(arguments):
    samples = arguments.train_samples in (None, FULL_SAMPLES)
    return samples and not arguments.only and arguments.epochs == FULL_EPOCHS and arguments.seeds >= FULL_SEEDS


def train_all(everything, jobs):
    """Runs them, so many at a time. The first that fails, or a signal, stops those under way, which can go on later."""
    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(training.complete) for training in everything]
        try:
            for done in as_completed(waiting):
                done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for training in everything:
                training.is_stopping = True
            raise


def main():
    arguments = parse()
    end_in_order_when_terminated()
    names = arguments.only or list(BY_NAME)
    runs = {name: [Training(BY_NAME[name], seed, arguments) for seed in range(arguments.seeds)] for name in names}
    everything = [run for of_recipe in runs.values() for run in of_recipe]
    train_all(everything, arguments.jobs)
    full = is_full(arguments)
    found = {
        "command": provenance(arguments, everything),
        "pictures": draw(runs, IMAGES if full else arguments.directory / "images"),
        **tables(runs),
    }
    page = arguments.directory / "results.md"
    page.write_text(fill(PAGE.read_text(), found))
    if full:
        PAGE.write_text(page.read_text())
    print(f"written: {PAGE if full else page}")


if __name__ == "__main__":
    main()
