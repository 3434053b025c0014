"""Measures Concentric and PyTorch side by side and prints the tables of docs/performance.md.

    make bench
    .venv-bench/bin/python worker/benches/compare.py --rounds 1 --only concentric
    .venv-bench/bin/python worker/benches/compare.py --before OTHER/target/release
    .venv-bench/bin/python worker/benches/compare.py --epoch
    .venv-bench/bin/python worker/benches/compare.py --accuracy

Both sides compute on the CPU, whether or not there is a GPU. Every candidate runs once per round, one after the other,
so that a slow minute of the machine meets all of them; what is printed are medians over the rounds. Everything runs on
the same cores (`--cores`), float32 where nothing else is said, MNIST, batch 100, ours with 4 logical shards. The first steps of each run are left out on both sides. The
PyTorch side is worker/benches/pytorch/train.py.

Memory is the largest resident set a process ever had (VmHWM), of the largest worker where there are several. The share
of a step in collectives is what the workers report: time in which the trainer waited for its peers. --before compares with
another build of ours; --accuracy measures how long either side trains until it classifies 98 % of the test set rightly.
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
LOGICAL_SHARDS = 4
TRAIN_SAMPLES = 60_000
WARMUP_STEPS = 5
# A line of metrics tells the pace of the steps since the line before.
LOG_EVERY = 5
# Watching costs time on the measured cores: closely until the first step, then seldom.
POLL_SECONDS = {"before": 0.02, "after": 0.1}
STATUS_SECONDS = 4.0
PYTORCH_SECONDS = 1800
# What training is to reach, and how ours does.
ACCURACY = 0.98
RECIPE = ("--recipe", "fast", "--epochs", "1")


@dataclass
class Candidate:
    """One way to train: ours with some workers, or PyTorch's."""

    name: str
    engine: str  # concentric | before | pytorch
    workers: int
    # Flags of the program, or of train.py.
    flags: tuple = ()
    batch_size: int = BATCH_SIZE
    # Whether the test set is evaluated, too.
    evaluates: bool = False
    in_bf16: bool = False
    results: list = field(default_factory=list)

    def median(self, key):
        values = [result[key] for result in self.results if result.get(key) is not None]
        return statistics.median(values) if values else None


def candidates():
    two, last, compiled, bf16 = ("--threads", "2"), ("--channels-last",), ("--compile",), ("--bf16",)
    single = [
        ("PyTorch, two threads", two),
        ("PyTorch, two threads, channels-last", two + last),
        ("PyTorch, two threads, compiled", two + compiled),
        ("PyTorch, two threads, compiled, channels-last", two + last + compiled),
    ]
    halves = [
        ("PyTorch, two threads, bf16, channels-last", two + last + bf16),
        ("PyTorch, two threads, bf16, compiled, channels-last", two + last + compiled + bf16),
    ]
    return [
        *(Candidate(name, "pytorch", 1, flags, evaluates=True) for name, flags in single),
        Candidate("Concentric, one worker with two threads", "concentric", 1, evaluates=True),
        Candidate("Concentric, two workers", "concentric", 2),
        Candidate("Concentric, four workers", "concentric", 4),
        *(Candidate(name, "pytorch", 1, flags, in_bf16=True) for name, flags in halves),
        Candidate("Concentric, one worker, bf16", "concentric", 1, ("--precision", "bf16"), in_bf16=True),
        Candidate("PyTorch, two ranks, global BatchNorm", "pytorch", 2),
        Candidate("PyTorch, two ranks, global BatchNorm, channels-last", "pytorch", 2, last),
        Candidate("PyTorch, four ranks, global BatchNorm", "pytorch", 4),
        Candidate("PyTorch, four ranks, global BatchNorm, channels-last", "pytorch", 4, last),
    ]


def pairs():
    """What is compared with another build of ours."""
    kinds = [
        ("one worker with two threads", 1, (), BATCH_SIZE),
        ("two workers", 2, (), BATCH_SIZE),
        ("batches of 20, two workers", 2, (), 20),
        ("`--network mlp`, batches of 500, two workers", 2, ("--network", "mlp"), 500),
    ]
    return [
        Candidate(name, engine, workers, flags, batch_size)
        for name, workers, flags, batch_size in kinds
        for engine in ("before", "concentric")
    ]


# ---- PyTorch --------------------------------------------------------------------------------------------------------


def run_pytorch(candidate, arguments):
    command = [
        sys.executable, str(HERE / "pytorch/train.py"),
        "--data-dir", str(arguments.data_dir), "--batch-size", str(candidate.batch_size),
        "--steps", str(arguments.steps), "--warmup-steps", str(WARMUP_STEPS),
        "--world-size", str(candidate.workers), "--threads", "1", *candidate.flags,
    ]
    if candidate.evaluates:
        command.append("--evaluate")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PYTORCH_SECONDS)
    except subprocess.TimeoutExpired:
        raise Trouble(f"{' '.join(command)} takes longer than {PYTORCH_SECONDS} s") from None
    if done.returncode != 0:
        raise Trouble(f"{' '.join(command)} failed:\n{done.stderr}")
    result = json.loads(done.stdout.splitlines()[-1])
    return {
        "images_per_second": result["images_per_second"],
        "evaluated_per_second": result["evaluated_per_second"],
        "worker_mb": result["peak_rss_mb"] * 2**20 / 1e6,
        "last_loss": result["last_loss"],
        "torch": result["torch"],
    }


# ---- Concentric -----------------------------------------------------------------------------------------------------


def run_concentric(candidate, arguments):
    first_counted, last = WARMUP_STEPS, WARMUP_STEPS + arguments.steps
    tests = () if candidate.evaluates else ("--test-samples", 0)
    flags = [
        "--max-steps", last + 1, "--batch-size", candidate.batch_size, "--logical-shards", LOGICAL_SHARDS,
        *tests, *candidate.flags,
    ]
    folder = arguments.before if candidate.engine == "before" else arguments.programs
    trained = Trained(candidate.workers, flags, arguments, folder)
    # The line of step k tells the pace of the LOG_EVERY steps before k.
    lines = [line for line in trained.steps if line["step"] >= first_counted + LOG_EVERY]
    pace = len(lines) / sum(1 / line["images_per_second"] for line in lines)
    shares = [share for step, share in trained.shares if step >= first_counted]
    return {
        "images_per_second": pace,
        "evaluated_per_second": trained.evaluated_per_second,
        "worker_mb": trained.worker_mb,
        "coordinator_mb": trained.coordinator_mb,
        "first_step_seconds": trained.first_step_seconds,
        "collective_share": statistics.mean(shares) if shares else None,
        "last_loss": trained.steps[-1]["loss"],
    }


class Trained:
    """One `coordinator --spawn` from start to end, and what was seen of it."""

    def __init__(self, workers, flags, arguments, folder):
        self.first_step_seconds = None
        self.worker_mb = self.coordinator_mb = 0.0
        self.shares = []
        flags = [
            "--workers", workers, "--spawn", "--dataset", arguments.data_dir, "--log-every", LOG_EVERY, *flags,
        ]
        # Workers tell how long a picture and an evaluation took.
        log = {"CONCENTRIC_LOG": "worker::results::artist=debug,worker::trainer::epoch_end=debug,info"}
        with tempfile.TemporaryDirectory(prefix="concentric-bench-") as scratch:
            directory = Path(scratch) / "run"
            self.started = time.monotonic()
            self.next_status = self.started + STATUS_SECONDS
            with Run(folder, directory, flags, **log) as run:
                try:
                    run.to_the_end(lambda: self.look(run))
                except Trouble as trouble:
                    raise Trouble(f"{trouble}\n{run.report()}") from None
                self.steps, self.epochs = run.metrics("step"), run.metrics("epoch")
                self.worker_log = (directory / "logs/worker-0.log").read_text()

    @property
    def evaluated_per_second(self):
        found = re.search(r"evaluated samples=(\d+) seconds=([0-9.e-]+)", self.worker_log)
        return int(found[1]) / float(found[2]) if found else None

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
    flags = ["--epochs", 1, "--batch-size", BATCH_SIZE, "--logical-shards", LOGICAL_SHARDS]
    trained = Trained(1, flags, arguments, arguments.programs)
    epoch = trained.epochs[0]
    training = TRAIN_SAMPLES / epoch["images_per_second"]
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


# ---- accuracy -------------------------------------------------------------------------------------------------------


def measure_accuracy(arguments):
    """Seconds of training until 98 % of the test set are right, evaluated after each epoch: PyTorch's, and ours."""
    rows, ratios = [], []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.rounds):
        ours, theirs = our_accuracy(seed, arguments), their_accuracy(seed, arguments)
        ratios.append(ours["seconds"] / theirs["seconds"])
        print(f"seed {seed}: {ours}, PyTorch {theirs}", file=sys.stderr, flush=True)
        rows.append([str(seed), *(f"{value:.1f} ({100 * reached:.2f} %)" for value, reached in
                                  (theirs.values(), ours.values())), f"1/{1 / ratios[-1]:.1f}"])
    header = ["seed", "eager PyTorch, channels-last, s", f"Concentric, {' '.join(RECIPE)}, s", "ratio"]
    print(f"\n{table(header, rows)}\n\nMedian of the ratios: 1/{1 / statistics.median(ratios):.1f}")


def our_accuracy(seed, arguments):
    trained = Trained(1, [*RECIPE, "--seed", seed], arguments, arguments.programs)
    seconds = 0.0
    for epoch in trained.epochs:
        seconds += TRAIN_SAMPLES / epoch["images_per_second"]
        if epoch["test_accuracy"] >= ACCURACY:
            return {"seconds": seconds, "accuracy": epoch["test_accuracy"]}
    raise Trouble(f"seed {seed}: no epoch reached {ACCURACY}: {[epoch['test_accuracy'] for epoch in trained.epochs]}")


def their_accuracy(seed, arguments):
    command = [
        sys.executable, str(HERE / "pytorch/accuracy.py"), "--data-dir", str(arguments.data_dir), "--threads", "2",
        "--batch-size", str(BATCH_SIZE), "--seed", str(seed), "--until", str(ACCURACY),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PYTORCH_SECONDS)
    if done.returncode != 0:
        raise Trouble(f"{' '.join(command)} failed:\n{done.stderr}")
    last = json.loads(done.stdout.splitlines()[-1])
    if last["test_accuracy"] < ACCURACY:
        raise Trouble(f"seed {seed}: PyTorch did not reach {ACCURACY}: {last}")
    return {"seconds": last["seconds"], "accuracy": last["test_accuracy"]}


# ---- tables ---------------------------------------------------------------------------------------------------------


def print_tables(measured):
    fastest = max((pace for pace in map(fp32_pace, measured) if pace), default=None)
    fastest_evaluation = max((c.median("evaluated_per_second") or 0 for c in measured if c.engine == "pytorch"), default=None)
    rows = []
    for candidate in measured:
        pace, evaluated = candidate.median("images_per_second"), candidate.median("evaluated_per_second")
        rows.append([
            candidate.name, f"{pace:.0f}", cell(fastest and pace / fastest, ".2f"), cell(evaluated, ".0f"),
            cell(evaluated and fastest_evaluation and evaluated / fastest_evaluation, ".2f"),
            cell(candidate.median("worker_mb"), ".0f"),
        ])
    header = ["", "images/s", "ratio to PyTorch's fastest in fp32", "evaluated, images/s", "ratio to PyTorch's fastest",
              "peak memory of a process, MB"]
    print(f"\n{table(header, rows)}")

    of_workers = {c.workers: c for c in measured if c.engine == "concentric" and not c.in_bf16}
    if not of_workers:
        return
    values = [
        ("ratio to PyTorch's fastest with as many processes, global BatchNorm",
         lambda c: same_ranks(c, measured), ".3f"),
        ("share of a step in collectives and waiting, %", lambda c: percent(c.median("collective_share")), ".1f"),
        ("peak memory of the largest worker, MB", lambda c: c.median("worker_mb"), ".0f"),
        ("peak memory of the coordinator, MB", lambda c: c.median("coordinator_mb"), ".0f"),
        ("from start to first committed step, s", lambda c: c.median("first_step_seconds"), ".2f"),
    ]
    rows = [[title, *(cell(value(of_workers[n]), form) for n in (1, 2, 4))] for title, value, form in values]
    print(f"\n{table(['Concentric', 'one worker', 'two workers', 'four workers'], rows)}")


def fp32_pace(candidate):
    """PyTorch's pace in one process and float32; None of others."""
    is_one = candidate.engine == "pytorch" and candidate.workers == 1 and not candidate.in_bf16
    return candidate.median("images_per_second") if is_one else None


def print_pairs(measured):
    rows = []
    for before, now in zip(measured[::2], measured[1::2]):
        figures = [c.median(key) for key in ("images_per_second", "worker_mb") for c in (before, now)]
        rows.append([now.name, f"{figures[0]:.0f}", f"{figures[1]:.0f}", f"{figures[1] / figures[0]:.2f}",
                     f"{figures[2]:.0f}", f"{figures[3]:.0f}", f"{figures[3] / figures[2]:.2f}"])
    header = ["", "images/s before", "now", "ratio", "peak memory before, MB", "now", "ratio"]
    print(f"\n{table(header, rows)}")


def percent(share):
    return None if share is None else 100 * share


def same_ranks(candidate, measured):
    """Our pace over the faster of PyTorch's with the same number of processes."""
    others = [c.median("images_per_second") for c in measured
              if c.engine == "pytorch" and c.workers == candidate.workers and not c.in_bf16]
    return candidate.median("images_per_second") / max(others) if others else None


def print_conditions(arguments, measured):
    torch = next((result["torch"] for c in measured for result in c.results if "torch" in result), "not measured")
    print(
        f"\n{hardware.processor()}, {hardware.machine()}, PyTorch {torch}; "
        f"{arguments.steps} steps of {BATCH_SIZE} after {WARMUP_STEPS}, medians of {arguments.rounds} rounds, "
        f"{time.strftime('%Y-%m-%d')}"
    )


# ---- the command line -----------------------------------------------------------------------------------------------


def add_flags(parser, steps):
    programs.add_flags(parser)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=steps, help=f"counted steps of each run, a multiple of {LOG_EVERY}")
    parser.add_argument("--cores", type=int, default=2, help="cores that everything runs on")


def check_flags(arguments, parser):
    if arguments.rounds < 1 or arguments.steps < LOG_EVERY or arguments.steps % LOG_EVERY:
        parser.error(f"--rounds must be at least 1, --steps a multiple of {LOG_EVERY}")
    programs.check_flags(arguments, parser)
    arguments.before = arguments.before and arguments.before.resolve()
    restrict_to(arguments.cores, parser)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_flags(parser, 40)
    parser.add_argument("--only", choices=["concentric", "pytorch"], help="leave the other out")
    parser.add_argument("--before", type=Path, help="instead: beside the programs of another build, in this folder")
    parser.add_argument("--accuracy", action="store_true", help="instead: seconds until 98 %% are right, a seed a round")
    parser.add_argument("--first-seed", type=int, default=0, help="of --accuracy")
    parser.add_argument("--epoch", action="store_true", help="instead: one whole epoch, and the time its pictures take")
    arguments = parser.parse_args()
    check_flags(arguments, parser)
    return arguments


def restrict_to(cores, parser):
    """Keeps this process and all it starts on the first `cores` cores."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < cores:
        parser.error(f"--cores {cores}: this machine has {len(available)}")
    os.sched_setaffinity(0, available[:cores])


def measure_rounds(arguments):
    chosen = pairs() if arguments.before else [c for c in candidates() if arguments.only in (None, c.engine)]
    engines = {"concentric": run_concentric, "before": run_concentric, "pytorch": run_pytorch}
    for number in range(arguments.rounds):
        for candidate in chosen:
            try:
                result = engines[candidate.engine](candidate, arguments)
            except Trouble as trouble:
                sys.exit(f"{candidate.name}: {trouble}")
            candidate.results.append(result)
            print(
                f"round {number + 1}/{arguments.rounds}  {candidate.engine}, {candidate.name}: {result['images_per_second']:.1f} images/s, "
                f"last loss {result['last_loss']:.4f}",
                file=sys.stderr, flush=True,
            )
    print_conditions(arguments, chosen)
    (print_pairs if arguments.before else print_tables)(chosen)


def main():
    arguments = parse()
    end_in_order_when_terminated()
    if not (arguments.epoch or arguments.accuracy):
        return measure_rounds(arguments)
    try:
        (measure_epoch if arguments.epoch else measure_accuracy)(arguments)
    except Trouble as trouble:
        sys.exit(str(trouble))


if __name__ == "__main__":
    main()
