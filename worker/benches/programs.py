"""The programs that are measured: where they and MNIST are, and what of this environment they are started with."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
# Say where a library lies, not how to run.
PLACES = ("CONCENTRIC_GRAPHS_LIBRARY", "CONCENTRIC_NCCL_LIBRARY")
LAUNCHER = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def environment(device, **variables):
    """This process's variables without those that would change a run, so that a measurement is what its flags say."""
    kept = {name: value for name, value in os.environ.items() if not is_setting(name)}
    return {**kept, "CONCENTRIC_DEVICE": device, **variables}


def is_setting(name):
    return name in LAUNCHER or (name.startswith("CONCENTRIC_") and name not in PLACES)


def add_flags(parser):
    parser.add_argument("--programs", type=Path, default=PROJECT / "target/release", help="folder of coordinator and worker")
    parser.add_argument("--data-dir", type=Path, help="MNIST as .gz files [default: CONCENTRIC_MNIST_DIR, or data/mnist]")


def check_flags(arguments, parser):
    """Makes both folders absolute, and ends the script where one lacks what is needed."""
    arguments.programs = arguments.programs.resolve()
    given = arguments.data_dir or os.environ.get("CONCENTRIC_MNIST_DIR") or PROJECT / "data/mnist"
    arguments.data_dir = Path(given).resolve()
    if not (arguments.data_dir / "train-images-idx3-ubyte.gz").is_file():
        parser.error(f"{arguments.data_dir} has no train-images-idx3-ubyte.gz: give --data-dir, or train once with "
                     "`--dataset mnist`, which downloads it")
    for program in ("coordinator", "worker"):
        if not (arguments.programs / program).is_file():
            parser.error(f"{arguments.programs} has no {program}: run `make build` first, or give --programs")
