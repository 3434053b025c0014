"""Measures Concentric and eager PyTorch side by side and prints the tables of docs/performance.md.

    make bench
    .venv-bench/bin/python worker/benches/compare.py --rounds 1 --only concentric
    .venv-bench/bin/python worker/benches/compare.py --epoch

Both sides compute on the CPU, whether or not there is a GPU. Every candidate runs once per round, one after the other,
so that a slow minute of the machine meets all of them; what is printed are medians over the rounds. Everything runs on
the same cores (`--cores`), float32, MNIST, batch 100. The first steps of each run are left out on both sides. The
PyTorch side is worker/benches/pytorch/train.py.

Memory is the largest resident set a process ever had (VmHWM), of the largest worker where there are several. The share
of a step in collectives is what the workers report: time in which the trainer waited for its peers.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

# The modules beside this one leave no compiled copy in the source tree.
sys.dont_write_bytecode = True
import hardware  # noqa: E402
import programs  # noqa: E402
from pages import cell, table  # noqa: E402
from watched_run import Run, Trouble, end_in_order_when_terminated  # noqa: E402

HERE = Path(__file__).resolve().parent
BATCH_SIZE = 100
WARMUP_STEPS = 5
# A line of metrics tells the pace of the steps since the line before.
LOG_EVERY = 5
# Watching costs time on the measured cores: closely until the first step, then seldom.
POLL_SECONDS = {"before": 0.02, "after": 0.1}
STATUS_SECONDS = 4.0
PYTORCH_SECONDS = 1800


@dataclass
class Candidate:
    """One way to train: ours with some workers, or PyTorch's."""

    name: str
    engine: str  # concentric | pytorch
    workers: int
    # Threads in all: of PyTorch's ranks, as ours share out the cores by themselves.
    threads: int = 1
    channels_last: bool = False
    results: list = field(default_factory=list)

    def median(self, key):
        values = [result[key] for result in self.results if result.get(key) is not None]
        return statistics.median(values) if values else None


def candidates():
    return [
        Candidate("PyTorch, two threads", "pytorch", 1, threads=2),
        Candidate("PyTorch, two threads, channels-last", "pytorch", 1, threads=2, channels_last=True),
        Candidate("Concentric, one worker with two threads", "concentric", 1),
        Candidate("Concentric, two workers", "concentric", 2),
        Candidate("Concentric, four workers", "concentric", 4),
        Candidate("PyTorch, two ranks, global BatchNorm", "pytorch", 2),
        Candidate("PyTorch, two ranks, global BatchNorm, channels-last", "pytorch", 2, channels_last=True),
        Candidate("PyTorch, four ranks, global BatchNorm", "pytorch", 4),
        Candidate("PyTorch, four ranks, global BatchNorm, channels-last", "pytorch", 4, channels_last=True),
    ]


# ---- PyTorch --------------------------------------------------------------------------------------------------------


def run_pytorch(candidate, arguments):
    command = [
        sys.executable, str(HERE / "pytorch/train.py"),
        "--data-dir", str(arguments.data_dir), "--batch-size", str(BATCH_SIZE),
        "--steps", str(arguments.steps), "--warmup-steps", str(WARMUP_STEPS),
        "--world-size", str(candidate.workers), "--threads", str(candidate.threads),
    ]
    if candidate.channels_last:
        command.append("--channels-last")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PYTORCH_SECONDS)
    except subprocess.TimeoutExpired:
        raise Trouble(f"{' '.join(command)} takes longer than {PYTORCH_SECONDS} s") from None
    if done.returncode != 0:
        raise Trouble(f"{' '.join(command)} failed:\n{done.stderr}")
    result = json.loads(done.stdout.splitlines()[-1])
    return {
        "images_per_second": result["images_per_second"],
        "worker_mb": result["peak_rss_mb"] * 2**20 / 1e6,
        "last_loss": result["last_loss"],
        "torch": result["torch"],
    }


# ---- Concentric -----------------------------------------------------------------------------------------------------


def run_concentric(candidate, arguments):
    first_counted, last = WARMUP_STEPS, WARMUP_STEPS + arguments.steps
    flags = ["--max-steps", last + 1, "--test-samples", 0]
    trained = Trained(candidate.workers, flags, arguments)
    # The line of step k tells the pace of the LOG_EVERY steps before k.
    lines = [line for line in trained.steps if line["step"] >= first_counted + LOG_EVERY]
    pace = len(lines) / sum(1 / line["images_per_second"] for line in lines)
    shares = [share for step, share in trained.shares if step >= first_counted]
    return {
        "images_per_second": pace,
        "worker_mb": trained.worker_mb,
        "coordinator_mb": trained.coordinator_mb,
        "first_step_seconds": trained.first_step_seconds,
        "collective_share": statistics.mean(shares) if shares else None,
        "last_loss": trained.steps[-1]["loss"],
    }


class Trained:
    """One `coordinator --spawn` from start to end, and what was seen of it."""

    def __init__(self, workers, flags, arguments):
        self.first_step_seconds = None
        self.worker_mb = self.coordinator_mb = 0.0
        self.shares = []
        flags = [
            "--workers", workers, "--spawn", "--dataset", arguments.data_dir, "--batch-size", BATCH_SIZE,
            "--log-every", LOG_EVERY, *flags,
        ]
        # Workers tell how long a picture took.
        log = {"CONCENTRIC_LOG": "worker::results::artist=debug,info"}
        with tempfile.TemporaryDirectory(prefix="concentric-bench-") as scratch:
            directory = Path(scratch) / "run"
            self.started = time.monotonic()
            self.next_status = self.started + STATUS_SECONDS
            with Run(arguments.programs, directory, flags, **log) as run:
                try:
                    run.to_the_end(lambda: self.look(run))
                except Trouble as trouble:
                    raise Trouble(f"{trouble}\n{run.report()}") from None
                self.steps, self.epochs = run.metrics("step"), run.metrics("epoch")
                self.worker_log = (directory / "logs/worker-0.log").read_text()

    def look(self, run):
        """Takes samples; how long to leave the run alone then."""
        now = time.monotonic()
        self.coordinator_mb = max(self.coordinator_mb, peak_mb(run.process.pid))
        self.worker_mb = max([self.worker_mb, *map(peak_mb, children(run.process.pid))])
        if self.first_step_seconds is None:
            path = run.directory / "metrics.jsonl"
            if path.is_file() and path.stat().st_size > 0:
                self.first_step_seconds = now - self.started
        elif now >= self.next_status:
            status = run.status()
            training = [w for w in status["workers"] if w["phase"] == "training"] if status else []
            self.shares += [(worker["step"], worker["collective_share"]) for worker in training]
            self.next_status = now + STATUS_SECONDS
        return POLL_SECONDS["before" if self.first_step_seconds is None else "after"]


def children(process):
    """The worker processes that a coordinator has started."""
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:
            pass
    return found


def peak_mb(process):
    """Largest resident set so far, MB of 10^6 bytes; 0 once the process is gone."""
    try:
        text = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    peak = [line.split()[1] for line in text.splitlines() if line.startswith("VmHWM:")]
    return int(peak[0]) * 1024 / 1e6 if peak else 0.0


# ---- pictures -------------------------------------------------------------------------------------------------------


def measure_epoch(arguments):
    """One whole epoch on one worker: how long its pictures take to draw once training is over."""
    trained = Trained(1, ["--epochs", 1], arguments)
    epoch = trained.epochs[0]
    training = 60_000 / epoch["images_per_second"]
    times = {name: [] for name in ("features", "curves", "confusion", "frame")}
    for name, seconds in re.findall(r'drawn picture="(\w+)" seconds=([0-9.e-]+)', trained.worker_log):
        times[name].append(float(seconds))
    titles = {"features": "features (`epoch=K.png`)", "curves": "curves", "confusion": "confusion matrix",
              "frame": "animation, one frame"}
    rows = [[title, f"{statistics.median(times[name]):.3f}"] for name, title in titles.items()]
    print(f"\n{table(['drawn', 'seconds'], rows)}")
    drawing = sum(statistics.median(times[name]) for name in ("features", "curves", "confusion"))
    print(f"\nAn epoch trains for {training:.0f} s; its three pictures take {drawing:.3f} s of one core beside the next")
    print(f"epoch's training, at most {100 * drawing / training:.2f} % of it. Test accuracy {epoch['test_accuracy']}.")


# ---- tables ---------------------------------------------------------------------------------------------------------


def print_tables(measured):
    by_name = {candidate.name: candidate for candidate in measured}
    reference = by_name.get("PyTorch, two threads")
    base = reference.median("images_per_second") if reference else None
    rows = []
    for candidate in measured:
        pace = candidate.median("images_per_second")
        ratio = cell(pace / base if base else None, ".3f")
        rows.append([candidate.name, f"{pace:.0f}", ratio, cell(candidate.median("worker_mb"), ".0f")])
    header = ["", "images/s", "ratio to PyTorch with two threads", "peak memory of a process, MB"]
    print(f"\n{table(header, rows)}")

    of_workers = {candidate.workers: candidate for candidate in measured if candidate.engine == "concentric"}
    if not of_workers:
        return
    values = [
        ("ratio to PyTorch with as many ranks and global BatchNorm, the faster layout",
         lambda c: same_ranks(c, measured), ".3f"),
        ("share of a step in collectives and waiting, %", lambda c: percent(c.median("collective_share")), ".1f"),
        ("peak memory of the largest worker, MB", lambda c: c.median("worker_mb"), ".0f"),
        ("peak memory of the coordinator, MB", lambda c: c.median("coordinator_mb"), ".0f"),
        ("from start to first committed step, s", lambda c: c.median("first_step_seconds"), ".2f"),
    ]
    rows = [[title, *(cell(value(of_workers[n]), form) for n in (1, 2, 4))] for title, value, form in values]
    print(f"\n{table(['Concentric', 'one worker', 'two workers', 'four workers'], rows)}")


def percent(share):
    return None if share is None else 100 * share


def same_ranks(candidate, measured):
    """Our pace over the faster of PyTorch's with the same number of processes."""
    others = [c.median("images_per_second") for c in measured if c.engine == "pytorch" and c.workers == candidate.workers]
    return candidate.median("images_per_second") / max(others) if others else None


def print_conditions(arguments, measured):
    torch = next((result["torch"] for c in measured for result in c.results if "torch" in result), "not measured")
    print(
        f"\n{hardware.processor()}, {hardware.machine()}, PyTorch {torch}; "
        f"{arguments.steps} steps of {BATCH_SIZE} after {WARMUP_STEPS}, medians of {arguments.rounds} rounds, "
        f"{time.strftime('%Y-%m-%d')}"
    )


# ---- the command line -----------------------------------------------------------------------------------------------


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    programs.add_flags(parser)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40, help=f"counted steps of each run, a multiple of {LOG_EVERY}")
    parser.add_argument("--cores", type=int, default=2, help="cores that everything runs on")
    parser.add_argument("--only", choices=["concentric", "pytorch"], help="leave the other out")
    parser.add_argument("--epoch", action="store_true", help="instead: one whole epoch, and the time its pictures take")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.steps < LOG_EVERY or arguments.steps % LOG_EVERY:
        parser.error(f"--rounds must be at least 1, --steps a multiple of {LOG_EVERY}")
    programs.check_flags(arguments, parser)
    restrict_to(arguments.cores, parser)
    return arguments


def restrict_to(cores, parser):
    """Keeps this process and all it starts on the first `cores` cores."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < cores:
        parser.error(f"--cores {cores}: this machine has {len(available)}")
    os.sched_setaffinity(0, available[:cores])


def measure_rounds(arguments):
    chosen = [c for c in candidates() if arguments.only in (None, c.engine)]
    engines = {"concentric": run_concentric, "pytorch": run_pytorch}
    for number in range(arguments.rounds):
        for candidate in chosen:
            try:
                result = engines[candidate.engine](candidate, arguments)
            except Trouble as trouble:
                sys.exit(f"{candidate.name}: {trouble}")
            candidate.results.append(result)
            print(
                f"round {number + 1}/{arguments.rounds}  {candidate.name}: {result['images_per_second']:.1f} images/s, "
                f"last loss {result['last_loss']:.4f}",
                file=sys.stderr, flush=True,
            )
    print_conditions(arguments, chosen)
    print_tables(chosen)


def main():
    arguments = parse()
    end_in_order_when_terminated()
    if not arguments.epoch:
        return measure_rounds(arguments)
    try:
        measure_epoch(arguments)
    except Trouble as trouble:
        sys.exit(str(trouble))


if __name__ == "__main__":
    main()
