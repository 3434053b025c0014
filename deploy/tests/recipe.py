"""What every run of the proof trains, in containers or not, and what it leaves."""

import hashlib
import json
import math
import os
from pathlib import Path
from typing import NamedTuple

WORKERS = 4
# Of the images: what `make cluster` uses is left alone.
VERSION = "test"
# Seconds that four workers train undisturbed: three times what passes between the faults (faults.py), of which none may come
# after the end, also where the pace was measured beside something else.
LONG_ENOUGH = 70
LEAST_EPOCHS = 6
MNIST = os.environ.get("CONCENTRIC_MNIST_DIR")
SETTINGS = {
    "CONCENTRIC_VERSION": VERSION,
    "CONCENTRIC_TRAIN_SAMPLES": "800",
    "CONCENTRIC_TEST_SAMPLES": "200",
    "CONCENTRIC_BATCH_SIZE": "20",
    "CONCENTRIC_EPOCHS": str(LEAST_EPOCHS),
    "CONCENTRIC_LOGICAL_SHARDS": "8",
    "CONCENTRIC_THREADS": "1",
    "CONCENTRIC_WARMUP_STEPS": "40",
    "CONCENTRIC_LR": "0.002",
    "CONCENTRIC_LR_SCHEDULE": "cosine",
    # Longer than a silent worker stays a member, which is 10 s: who is cut off from the others alone is noticed last.
    "CONCENTRIC_COLLECTIVE_TIMEOUT": "20",
}
if MNIST:
    # Compose takes a relative folder to be one beside its file.
    SETTINGS["CONCENTRIC_MNIST_DIR"] = str(Path(MNIST).resolve())


def image(program):
    return f"concentric-{program}:{VERSION}"


def last_long_enough(images_per_second):
    """Makes all runs as long as the faults need where so many workers are so fast."""
    seconds = int(SETTINGS["CONCENTRIC_TRAIN_SAMPLES"]) / images_per_second
    SETTINGS["CONCENTRIC_EPOCHS"] = str(max(LEAST_EPOCHS, math.ceil(LONG_ENOUGH / seconds)))


def pictures():
    """What arrives on the host."""
    return [f"epoch={int(SETTINGS['CONCENTRIC_EPOCHS']) - 1}.png", "curves.png", "confusion.png", "features.gif"]


class Results(NamedTuple):
    """What two runs must have in common."""

    data: str
    checkpoint: str


def results(directory):
    """Of a run directory: the samples, as they are saved with the run, and the last checkpoint's SHA-256."""
    samples = json.loads((directory / "dataset.json").read_text())
    if MNIST and samples["dataset"] == "synthetic":
        raise SystemExit(f"{directory} is of synthetic digits, though CONCENTRIC_MNIST_DIR is {MNIST}: that folder must "
                         "hold MNIST's four files (train-images-idx3-ubyte.gz, …), and CONCENTRIC_DATASET be unset")
    checkpoint = (directory / "checkpoints/last.safetensors").read_bytes()
    return Results(f"{samples['dataset']} (SHA-256 {samples['sha256'][:12]}…)", hashlib.sha256(checkpoint).hexdigest())


def speed(directory):
    """Images a second of the epochs after the first."""
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    epochs = [line["images_per_second"] for line in lines if line["kind"] == "epoch"][1:]
    return sum(epochs) / len(epochs)
