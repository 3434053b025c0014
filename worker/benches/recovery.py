"""Measures how fast a run goes on after a loss, over many losses, and prints the table of docs/reliability.md.

    make bench-recovery
    python3 worker/benches/recovery.py --kills 5 --hangs 2 --restarts 2

Four runs with four workers on this machine, one after the other. In the first two a random worker is killed again and
again: in the one the others go on at once and the restarted worker joins later, in the other the run waits for it. In
the third a worker is stopped (SIGSTOP) until the others have gone on without it; in the fourth the coordinator is
killed and started again. Nothing happens before all four workers train again.

Moments are those of the lines of RUN_DIR/events.jsonl, and of the signal by the same clock:

    detection       from the signal to the line of the loss; of a coordinator: to the line of the next one
    re-forming      from there to the line of the next generation
    first new step  from there to the news that the generation has done a step
    total           all three; a median step of the undisturbed run is a part of it

Generations that only let a restarted worker in again are no recoveries, and are not counted.
"""

import argparse
import json
import os
import platform
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
WORKERS = 4
# Names the run in the environment of each of its processes, whoever started it.
MARK = "CONCENTRIC_BENCH_RUN"
# No wait takes longer, even on a busy machine.
WAIT_SECONDS = 180
# Between two looks at events.jsonl while a recovery is measured, and at the status while all is to be well again.
WATCH_SECONDS = 0.005
STATUS_SECONDS = 0.1
# Steps of the undisturbed run that are measured, and those before them that are not.
CALM_STEPS, WARMUP_STEPS = 60, 5
# Between all being well and the next signal, so that this comes at any moment of a step and of a heartbeat.
PAUSE_SECONDS = (0.2, 1.4)
HANG_HEARTBEAT = {"interval": 0.5, "timeout": 2.0}
# 128 + SIGTERM.
TERMINATED = 143
TAIL_LINES = 25


class Trouble(Exception):
    """The run did not do what it should."""


# ---- a run ----------------------------------------------------------------------------------------------------------


class Lines:
    """The whole lines of a growing file of JSON lines, each read once."""

    def __init__(self, path):
        self.path = path
        self.offset = 0

    def new(self):
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self.offset += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


class Run:
    """A coordinator with the workers that it starts, watched from outside. Left, all its processes are killed."""

    def __init__(self, programs, directory, flags):
        self.program = str(programs / "coordinator")
        self.directory = directory
        self.mark = f"{os.getpid()}-{directory.name}-{time.monotonic_ns()}"
        self.events = Lines(directory / "events.jsonl")
        self.happened = []
        self.process = None
        self._start("--run-dir", directory, *flags)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill_everything()

    def _start(self, *flags):
        inherited = {name: value for name, value in os.environ.items() if not is_setting(name)}
        with self.directory.with_suffix(".printed").open("a") as printed:
            self.process = subprocess.Popen(
                [self.program, *map(str, flags)], stdin=subprocess.DEVNULL, stdout=printed, stderr=printed,
                cwd=self.directory.parent, env={**inherited, MARK: self.mark}, start_new_session=True,
            )

    def replace_coordinator(self):
        """Kills the coordinator alone and starts it again; returns the moment of the kill."""
        moment = time.time()
        self.process.kill()
        self.process.wait()
        self._start("--resume", self.directory, "--listen", "127.0.0.1:0")
        return moment

    def poll(self):
        """The ledger's new lines; they are kept in `happened`, too."""
        lines = self.events.new()
        self.happened += lines
        return lines

    @property
    def url(self):
        lines = [line for line in self.happened if line["kind"] == "coordinator"]
        return f"http://{lines[-1]['address']}" if lines else None

    def ask(self, *words):
        """One of the coordinator's commands about the running job."""
        command = [self.program, *map(str, words), "--coordinator", str(self.url)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def status(self):
        """None where nobody answers."""
        self.poll()
        if self.url is None:
            return None
        asked = self.ask("status", "--json")
        return json.loads(asked.stdout) if asked.returncode == 0 else None

    def audit(self):
        """Exit code and JSON."""
        audited = subprocess.run([self.program, "audit", "--json", str(self.directory)], capture_output=True, text=True)
        return audited.returncode, audited.stdout or audited.stderr

    def wait_for(self, what, probe, every=STATUS_SECONDS, limit=WAIT_SECONDS):
        """What `probe` finds, asked again and again until it is something."""
        deadline = time.monotonic() + limit
        while True:
            # Asked before, so that the probe sees all that was written until the end.
            has_ended = self.process.poll() is not None
            found = probe()
            if found is not None:
                return found
            if has_ended:
                raise Trouble(f"the coordinator ended with {self.process.returncode} while waiting for {what}")
            if time.monotonic() > deadline:
                raise Trouble(f"waited {limit} s in vain for {what}")
            time.sleep(every)

    def wait_for_line(self, what, start, wanted):
        """The index in `happened` of the first line from index `start` on that `wanted` likes."""

        def probe():
            self.poll()
            found = (index for index in range(start, len(self.happened)) if wanted(self.happened[index]))
            return next(found, None)

        return self.wait_for(what, probe, WATCH_SECONDS)

    def wait_for_all(self):
        """The status once all workers train in one generation, which has done a step."""

        def probe():
            status = self.status()
            return status if status and self.are_all_training(status) else None

        return self.wait_for("all workers to train", probe)

    def are_all_training(self, status):
        workers = status["workers"]
        at_work = [w for w in workers if w["rank"] is not None and w["phase"] in ("training", "waiting for data")]
        stepped = any(
            line["kind"] == "steps" and line["generation"] == status["generation"] for line in reversed(self.happened)
        )
        return status["phase"] == "training" and len(at_work) == len(workers) == WORKERS and stepped

    def processes(self):
        """Every living process of the run."""
        own = f"{MARK}={self.mark}".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                variables = path.read_bytes().split(b"\0")
            except OSError:
                continue
            # One that has ended and was not waited for has no environment.
            if own in variables:
                found.append(int(path.parent.name))
        return found

    def signal(self, process, number):
        """Sends a signal to a process of the run, if it lives."""
        if process not in self.processes():
            return False
        try:
            os.kill(process, number)
        except ProcessLookupError:
            return False
        return True

    def terminate(self):
        """Stops the run in order; returns the exit code."""
        self.process.terminate()
        try:
            return self.process.wait(timeout=WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            raise Trouble(f"the coordinator goes on {WAIT_SECONDS} s after SIGTERM") from None

    def kill_everything(self):
        """Again and again, for what was just being started."""
        self.process.kill()
        self.process.wait()
        while True:
            left = self.processes()
            if not left:
                return
            for process in left:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.01)

    def report(self):
        """The ends of everything that was written down."""
        files = [self.directory.with_suffix(".printed"), self.directory / "events.jsonl"]
        files += [self.directory / "coordinator.log", *sorted((self.directory / "logs").glob("*.log"))]
        parts = []
        for path in files:
            if path.is_file():
                tail = path.read_text(errors="replace").splitlines()[-TAIL_LINES:]
                parts.append(f"---- {path}\n" + "\n".join(tail))
        return "\n".join(parts)


def is_setting(name):
    """Whether a variable would change how the programs run."""
    return name.startswith("CONCENTRIC_") or name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def moment(line):
    """When a line of the ledger was written, seconds since 1970."""
    return datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp()


# ---- measuring ------------------------------------------------------------------------------------------------------


class Row:
    """All losses of one kind, in milliseconds."""

    def __init__(self, name, target=None):
        self.name = name
        # Of every total.
        self.target = target
        self.parts = []
        self.step = None

    def add(self, *moments):
        """Of the signal, the news of it, the generation, its first step."""
        self.parts.append([1e3 * (end - start) for start, end in zip(moments, moments[1:])])

    def totals(self):
        return [sum(parts) for parts in self.parts]

    def columns(self):
        """Detection, re-forming, first new step, total."""
        return [*map(list, zip(*self.parts)), self.totals()]


class Kind:
    """One of the four runs: its flags, what is done to it, and how the ledger shows that it has recovered."""

    def __init__(self, name, number, flags, disturb, target=None):
        self.row = Row(name, target)
        self.number = number
        self.flags = flags
        self.disturb = disturb


def kinds(arguments):
    going_on, waiting = ["--min-workers", 1], ["--min-workers", WORKERS]
    interval, limit = HANG_HEARTBEAT["interval"], HANG_HEARTBEAT["timeout"]
    hanging = [*going_on, "--heartbeat-interval", interval, "--heartbeat-timeout", limit]
    target = 1e3 * (2 * limit + 1)
    return [
        Kind("kill, the others go on", arguments.kills, going_on, kill),
        Kind("kill, the run waits for a replacement", arguments.kills, waiting, kill),
        Kind("SIGSTOP", arguments.hangs, hanging, hang, target),
        Kind("coordinator killed", arguments.restarts, going_on, restart),
    ]


def kill(run, status, chance, row):
    victim = chance.choice(status["workers"])
    lose(run, victim, signal.SIGKILL, row)
    return f"slot {victim['slot']}"


def hang(run, status, chance, row):
    victim = chance.choice(status["workers"])
    lose(run, victim, signal.SIGSTOP, row)
    # It finds that it was evicted, and joins anew.
    run.signal(victim["process_id"], signal.SIGCONT)
    return f"slot {victim['slot']}"


def lose(run, victim, number, row):
    run.poll()
    before = len(run.happened)
    start = time.time()
    if not run.signal(victim["process_id"], number):
        raise Trouble(f"the worker in slot {victim['slot']}, process {victim['process_id']}, is not there any more")
    loss = run.wait_for_line(
        "the loss", before, lambda line: line["kind"] == "loss" and line["slot"] == victim["slot"]
    )
    generation = run.wait_for_line("the next generation", loss + 1, lambda line: is_generation(line, joined=False))
    recovery = run.wait_for_line("the recovery", generation + 1, lambda line: line["kind"] == "recovery")
    row.add(start, *(moment(run.happened[index]) for index in (loss, generation, recovery)))


def restart(run, _status, _chance, row):
    run.poll()
    before = len(run.happened)
    start = run.replace_coordinator()
    coordinator = run.wait_for_line("the coordinator", before, lambda line: line["kind"] == "coordinator")
    generation = run.wait_for_line("the next generation", coordinator + 1, is_generation)
    number = run.happened[generation]["generation"]
    steps = run.wait_for_line(
        "its first step", generation + 1, lambda line: line["kind"] == "steps" and line["generation"] >= number
    )
    row.add(start, *(moment(run.happened[index]) for index in (coordinator, generation, steps)))
    return "coordinator"


def is_generation(line, joined=True):
    """Whether a line is that of a generation; without `joined`: of one that does not only let a worker in."""
    return line["kind"] == "generation" and (joined or not line["cause"].endswith(" joined"))


def measure(kind, scratch, arguments, chance):
    flags = [
        "--workers", WORKERS, "--spawn", "--max-generations", 100000, "--listen", "127.0.0.1:0",
        "--dataset", arguments.data_dir, "--train-samples", 2000, "--test-samples", 0, "--batch-size", 20,
        "--epochs", 1000, "--log-every", 1, "--logical-shards", 4, "--threads", 1,
        "--picture-every", 1000, "--checkpoint-every", 100, *kind.flags,
    ]
    directory = scratch / "run"
    with Run(arguments.programs, directory, flags) as run:
        try:
            run.wait_for_all()
            kind.row.step = calm_step(run)
            print(f"{kind.row.name}: a step takes {kind.row.step:.1f} ms", file=sys.stderr, flush=True)
            for number in range(kind.number):
                status = run.wait_for_all()
                time.sleep(chance.uniform(*PAUSE_SECONDS))
                whom = kind.disturb(run, status, chance, kind.row)
                detection, reforming, first = kind.row.parts[-1]
                print(
                    f"{kind.row.name} {number + 1}/{kind.number}: {whom}: {detection:.0f} + {reforming:.0f} + "
                    f"{first:.0f} = {kind.row.totals()[-1]:.0f} ms",
                    file=sys.stderr, flush=True,
                )
            run.wait_for_all()
            code = run.terminate()
            if code != TERMINATED:
                raise Trouble(f"the coordinator ended with {code} after SIGTERM, not with {TERMINATED}")
            code, said = run.audit()
            if code != 0:
                raise Trouble(f"the audit failed:\n{said}")
            left = run.processes()
            if left:
                raise Trouble(f"processes {left} are left")
        except Trouble as trouble:
            raise Trouble(f"{kind.row.name}: {trouble}\n{run.report()}") from None
    shutil.rmtree(directory)
    directory.with_suffix(".printed").unlink()


def calm_step(run):
    """Milliseconds of a median step before anything has happened to the run."""
    path = run.directory / "metrics.jsonl"

    def probe():
        lines = [line for line in Lines(path).new() if line["kind"] == "step"]
        return lines if len(lines) >= WARMUP_STEPS + CALM_STEPS else None

    lines = run.wait_for("undisturbed steps", probe)
    return statistics.median(1e3 * 20 / line["images_per_second"] for line in lines[WARMUP_STEPS:])


# ---- the table ------------------------------------------------------------------------------------------------------


def percentile(values, share):
    """The smallest value that at least this share of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def print_table(rows):
    titles = ["detection", "re-forming", "first new step", "total"]
    names = [f"{title}, p50 / p99" for title in titles]
    print(f"\n| ms | number | {' | '.join(names)} | beyond one step, p50 / p99 | target |")
    print("|---|---:" + "|---:" * len(names) + "|---:|---|")
    for row in rows:
        cells = [f"{percentile(c, 50):.0f} / {percentile(c, 99):.0f}" for c in row.columns()]
        beyond = [percentile(row.totals(), share) - row.step for share in (50, 99)]
        target = "–" if row.target is None else f"total ≤ {row.target:.0f}: {'met' if meets(row) else 'MISSED'}"
        print(
            f"| {row.name} | {len(row.parts)} | {' | '.join(cells)} | {beyond[0]:.0f} / {beyond[1]:.0f} | {target} |"
        )
    steps = ", ".join(f"{row.step:.1f}" for row in rows)
    print(f"\nA median step of the undisturbed runs: {steps} ms. Every run's audit is clean.")


def meets(row):
    return row.target is None or max(row.totals()) <= row.target


def describe_machine(seed):
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.release()}; "
        f"{WORKERS} workers, seed {seed}, {time.strftime('%Y-%m-%d')}"
    )


# ---- the command line -----------------------------------------------------------------------------------------------


def add_common_flags(parser):
    parser.add_argument("--programs", type=Path, default=PROJECT / "target/release", help="folder of coordinator and worker")
    parser.add_argument("--data-dir", type=Path, help="MNIST as .gz files [default: CONCENTRIC_MNIST_DIR, or data/mnist]")
    parser.add_argument("--seed", type=int, default=0, help="of what happens when to whom")


def check_common_flags(arguments, parser):
    arguments.programs = arguments.programs.resolve()
    given = arguments.data_dir or os.environ.get("CONCENTRIC_MNIST_DIR") or PROJECT / "data/mnist"
    arguments.data_dir = Path(given).resolve()
    if not (arguments.data_dir / "train-images-idx3-ubyte.gz").is_file():
        parser.error(f"{arguments.data_dir} has no train-images-idx3-ubyte.gz: give --data-dir, or train once with "
                     "`--dataset mnist`, which downloads it")
    if not (arguments.programs / "coordinator").is_file():
        parser.error(f"{arguments.programs} has no coordinator: run `make build` first")


def end_in_order_when_terminated():
    """A signal to this program must not leave the run's processes behind."""

    def end(number, _frame):
        sys.exit(128 + number)

    for wish in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(wish, end)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_flags(parser)
    parser.add_argument("--kills", type=int, default=60, help="killed workers in each of the first two runs")
    parser.add_argument("--hangs", type=int, default=10, help="stopped workers")
    parser.add_argument("--restarts", type=int, default=10, help="killed coordinators")
    arguments = parser.parse_args()
    if min(arguments.kills, arguments.hangs, arguments.restarts) < 0:
        parser.error("--kills, --hangs and --restarts cannot be negative")
    check_common_flags(arguments, parser)
    return arguments


def main():
    arguments = parse()
    end_in_order_when_terminated()
    chosen = [kind for kind in kinds(arguments) if kind.number > 0]
    scratch = Path(tempfile.mkdtemp(prefix="concentric-recovery-"))
    print(f"seed {arguments.seed}", file=sys.stderr, flush=True)
    for number, kind in enumerate(chosen):
        try:
            # Each run's own, so that it does not depend on how often the others were disturbed.
            measure(kind, scratch, arguments, random.Random(f"{arguments.seed}-{number}"))
        except Trouble as trouble:
            sys.exit(f"{trouble}\n(seed {arguments.seed}; everything is kept in {scratch})")
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
    shutil.rmtree(scratch)
    print(f"\n{describe_machine(arguments.seed)}")
    rows = [kind.row for kind in chosen]
    if rows:
        print_table(rows)
    if not all(map(meets, rows)):
        sys.exit("a target is missed")


if __name__ == "__main__":
    main()
