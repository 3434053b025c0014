"""A run that is disturbed beside the same run undisturbed: both are to leave the same, every file and every figure that does
not tell of time."""

import hashlib
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import hardware
from watched_run import Run, Trouble

FOLDERS = ["checkpoints", "features", "pictures"]
SAMPLES, BATCH_SIZE = 400, 20


def flags(arguments, steps, logical_shards, picture_every):
    """What both are started with, but for their workers."""
    return [
        "--spawn", "--max-generations", 100000, "--dataset", arguments.data_dir, "--train-samples", SAMPLES,
        "--test-samples", 50, "--batch-size", BATCH_SIZE, "--epochs", -(-steps * BATCH_SIZE // SAMPLES),
        "--max-steps", steps, "--log-every", 1, "--logical-shards", logical_shards, "--threads", 1,
        "--picture-every", picture_every, "--checkpoint-every", 7,
    ]


class BothRuns:
    """The undisturbed run on one worker, then the one that `disturb` makes in a folder and returns what it found of.

    Where one of them is in trouble the script ends, and everything is kept.
    """

    def __init__(self, name, arguments, both_flags, disturb):
        self.arguments = arguments
        self.scratch = Path(tempfile.mkdtemp(prefix=f"concentric-{name}-"))
        self.disturbed = self.scratch / "run"
        self.kept = f"(seed {arguments.seed}; everything is kept in {self.scratch})"
        try:
            begin = time.monotonic()
            self._run_undisturbed(both_flags)
            middle = time.monotonic()
            print(f"the undisturbed run took {middle - begin:.0f} s", file=sys.stderr, flush=True)
            self.found = disturb(self.disturbed)
            self.seconds = (middle - begin, time.monotonic() - middle)
            self.differences, self.files = differences(self.disturbed, self.scratch / "undisturbed")
        except Trouble as trouble:
            sys.exit(f"{trouble}\n{self.kept}")
        except BaseException:
            shutil.rmtree(self.scratch, ignore_errors=True)
            raise

    def _run_undisturbed(self, both_flags):
        with Run(self.arguments.programs, self.scratch / "undisturbed", [*both_flags, "--workers", 1]) as run:
            try:
                run.to_the_end()
            except Trouble as trouble:
                raise Trouble(f"the undisturbed run: {trouble}\n{run.report()}") from None

    def print_conditions(self, workers, *more):
        said = [f"{workers} workers", f"seed {self.arguments.seed}", *more, time.strftime("%Y-%m-%d")]
        print(f"\n{hardware.processor()}, {hardware.machine()}; {', '.join(said)}")

    def rows(self, workers):
        """Of a table about both."""
        return [
            ["files compared", self.files],
            ["undisturbed run on one worker, s", f"{self.seconds[0]:.0f}"],
            [f"disturbed run on {workers} workers, s", f"{self.seconds[1]:.0f}"],
        ]

    def end(self, problems, clean):
        """Ends the script with what is wrong, or with the words of one where nothing is."""
        if problems:
            sys.exit("\n" + "\n".join(problems) + f"\n{self.kept}")
        print(f"\n{clean}")
        if self.arguments.keep:
            print(f"Everything is kept in {self.scratch}.")
        else:
            shutil.rmtree(self.scratch)


def hashes(directory):
    """SHA-256 of every result by path."""
    files = [path for folder in FOLDERS for path in sorted((directory / folder).rglob("*")) if path.is_file()]
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def metrics(directory):
    """All lines without what depends on the machine's pace."""
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "images_per_second"} for line in lines]


def differences(disturbed, undisturbed):
    """What is wrong with the results, in words."""
    found, expected = hashes(disturbed), hashes(undisturbed)
    problems = [f"{path} is missing" for path in expected.keys() - found.keys()]
    problems += [f"{path} is one too many" for path in found.keys() - expected.keys()]
    problems += [f"{path} differs" for path in found.keys() & expected.keys() if found[path] != expected[path]]
    if not any(path.startswith("checkpoints/last") for path in expected):
        problems.append("the undisturbed run has no last checkpoint")
    lines = metrics(disturbed), metrics(undisturbed)
    if lines[0] != lines[1]:
        first = next((i for i, (a, b) in enumerate(zip(*lines)) if a != b), min(map(len, lines)))
        found, expected = (part[first:first + 1] for part in lines)
        problems.append(f"metrics.jsonl differs from line {first + 1} on: {found}, not {expected}")
    return sorted(problems), len(expected)
