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
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

# The modules beside this one leave no compiled copy in the source tree.
sys.dont_write_bytecode = True
import hardware  # noqa: E402
import programs  # noqa: E402
from pages import table  # noqa: E402
from watched_run import Run, Trouble, end_in_order_when_terminated  # noqa: E402

WORKERS, BATCH_SIZE = 4, 20
# Steps of the undisturbed run that are measured, and those before them that are not.
CALM_STEPS, WARMUP_STEPS = 60, 5
# Between all being well and the next signal, so that this comes at any moment of a step and of a heartbeat.
PAUSE_SECONDS = (0.2, 1.4)
HANG_HEARTBEAT = {"interval": 0.5, "timeout": 2.0}
# 128 + SIGTERM.
TERMINATED = 143


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
        "--workers", WORKERS, "--spawn", "--max-generations", 100000, "--dataset", arguments.data_dir,
        "--train-samples", 2000, "--test-samples", 0, "--batch-size", BATCH_SIZE,
        "--epochs", 1000, "--log-every", 1, "--logical-shards", 4, "--threads", 1,
        "--picture-every", 1000, "--checkpoint-every", 100, *kind.flags,
    ]
    directory = scratch / "run"
    with Run(arguments.programs, directory, flags) as run:
        try:
            run.wait_for_all(WORKERS)
            kind.row.step = calm_step(run)
            print(f"{kind.row.name}: a step takes {kind.row.step:.1f} ms", file=sys.stderr, flush=True)
            for number in range(kind.number):
                status = run.wait_for_all(WORKERS)
                time.sleep(chance.uniform(*PAUSE_SECONDS))
                whom = kind.disturb(run, status, chance, kind.row)
                detection, reforming, first = kind.row.parts[-1]
                print(
                    f"{kind.row.name} {number + 1}/{kind.number}: {whom}: {detection:.0f} + {reforming:.0f} + "
                    f"{first:.0f} = {kind.row.totals()[-1]:.0f} ms",
                    file=sys.stderr, flush=True,
                )
            run.wait_for_all(WORKERS)
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

    def probe():
        lines = run.metrics("step")
        return lines if len(lines) >= WARMUP_STEPS + CALM_STEPS else None

    lines = run.wait_for("undisturbed steps", probe)
    return statistics.median(1e3 * BATCH_SIZE / line["images_per_second"] for line in lines[WARMUP_STEPS:])


# ---- the table ------------------------------------------------------------------------------------------------------


def percentile(values, share):
    """The smallest value that at least this share of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def print_table(rows):
    titles = [f"{title}, p50 / p99" for title in ("detection", "re-forming", "first new step", "total", "beyond one step")]
    lines = []
    for row in rows:
        beyond = [total - row.step for total in row.totals()]
        cells = [f"{percentile(c, 50):.0f} / {percentile(c, 99):.0f}" for c in (*row.columns(), beyond)]
        target = "–" if row.target is None else f"total ≤ {row.target:.0f}: {'met' if meets(row) else 'MISSED'}"
        lines.append([row.name, str(len(row.parts)), *cells, target])
    print(f"\n{table(['ms', 'number', *titles, 'target'], lines)}")
    steps = ", ".join(f"{row.step:.1f}" for row in rows)
    print(f"\nA median step of the undisturbed runs: {steps} ms. Every run's audit is clean.")


def meets(row):
    return row.target is None or max(row.totals()) <= row.target


# ---- the command line -----------------------------------------------------------------------------------------------


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    programs.add_flags(parser)
    parser.add_argument("--seed", type=int, default=0, help="of what happens when to whom")
    parser.add_argument("--kills", type=int, default=60, help="killed workers in each of the first two runs")
    parser.add_argument("--hangs", type=int, default=10, help="stopped workers")
    parser.add_argument("--restarts", type=int, default=10, help="killed coordinators")
    arguments = parser.parse_args()
    if min(arguments.kills, arguments.hangs, arguments.restarts) < 0:
        parser.error("--kills, --hangs and --restarts cannot be negative")
    programs.check_flags(arguments, parser)
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
    print(f"\n{hardware.processor()}, {hardware.machine()}; {WORKERS} workers, seed {arguments.seed}, "
          f"{time.strftime('%Y-%m-%d')}")
    rows = [kind.row for kind in chosen]
    if rows:
        print_table(rows)
    if not all(map(meets, rows)):
        sys.exit("a target is missed")


if __name__ == "__main__":
    main()
