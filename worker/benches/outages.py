"""Measures what a network without any death costs a run, and prints the table of docs/reliability.md.

    make bench-outages
    python3 worker/benches/outages.py --outages 5 --newcomers 2

Two workers, one of them in a network of its own (needs root, `ip` and `iptables`), batches of 20. In the first run the way
between the two is closed again and again, longer than `--collective-timeout`, while both hear the coordinator. Measured
is from the moment when the way is open again to the line of metrics of the next step. In the second run a third worker
joins, again and again, that the others cannot reach: measured is the longest time between two steps in the seconds after
its start, beside that in as many seconds before.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

# The modules beside this one leave no compiled copy in the source tree.
sys.dont_write_bytecode = True
import hardware  # noqa: E402
import programs  # noqa: E402
from island import Island  # noqa: E402
from pages import table  # noqa: E402
from recovery import percentile  # noqa: E402
from watched_run import Lines, Run, Trouble, end_in_order_when_terminated  # noqa: E402

BATCH_SIZE, COLLECTIVE_SECONDS = 20, 1
# How long the way is closed: until the exchanges have broken, and up to some pauses more.
CLOSED_SECONDS = (1.5, 8)
CALM_SECONDS = (0.5, 2)
NEWCOMER_SECONDS = 4
# The cores are shared out by hand: the two sides do not see each other.
ALONE = ("--parallel", "1")


class Steps:
    """The steps of a run, each with the moment when its line of metrics was seen."""

    def __init__(self, run):
        self.run = run
        self.lines = Lines(run.directory / "metrics.jsonl")
        self.moments = []

    def watch(self):
        now = time.monotonic()
        self.moments += [now for line in self.lines.new() if line["kind"] == "step"]

    def watch_for(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.watch()
            time.sleep(0.002)

    def wait_for_next(self):
        """The moment of the next one."""
        before = len(self.moments)

        def probe():
            self.watch()
            return self.moments[before] if len(self.moments) > before else None

        return self.run.wait_for("a step", probe, 0.002)

    def longest_gap_since(self, start):
        """Seconds between two that follow each other, from `start` on."""
        moments = [moment for moment in self.moments if moment >= start]
        return max(later - earlier for earlier, later in zip(moments, moments[1:]))


def start(scratch, arguments, island, *flags):
    flags = [
        "--insecure", "--workers", 2, "--dataset", arguments.data_dir, "--train-samples", 2000, "--test-samples", 0,
        "--batch-size", BATCH_SIZE, "--epochs", 1000, "--log-every", 1, "--logical-shards", 4, "--threads", 1,
        "--picture-every", 1000, "--collective-timeout", COLLECTIVE_SECONDS, *flags,
    ]
    return Run(arguments.programs, scratch / "run", flags, host=island.mainland)


def close_again_and_again(scratch, arguments, chance):
    """Seconds from the way's opening to the next step, for each time."""
    seconds = []
    with Island() as island, start(scratch, arguments, island) as run:
        run.join_worker(*ALONE)
        run.join_worker(*ALONE, within=island.program)
        run.wait_for_all(2)
        steps, port = Steps(run), run.url.rsplit(":", 1)[1]
        for _ in range(arguments.outages):
            steps.wait_for_next()
            steps.watch_for(chance.uniform(*CALM_SECONDS))
            island.wall_off_but(port)
            steps.watch_for(closed := chance.uniform(*CLOSED_SECONDS))
            island.open_but(port)
            opened = time.monotonic()
            steps.watch()
            seconds.append(steps.wait_for_next() - opened)
            print(f"closed {closed:.1f} s: {1e3 * seconds[-1]:.0f} ms", file=sys.stderr, flush=True)
        finish(run)
        from_checkpoints = [line for line in run.happened if line.get("origin") == "checkpoint"]
        generations = sum(line["kind"] == "generation" for line in run.happened)
    if from_checkpoints:
        raise Trouble(f"steps were lost: {from_checkpoints}")
    shutil.rmtree(scratch / "run")
    return seconds, generations


def let_in_nobody(scratch, arguments):
    """Longest seconds between two steps before a newcomer that cannot be reached, and with it, for each one."""
    gaps = []
    with Island() as island, start(scratch, arguments, island, "--max-workers", 3) as run:
        run.join_worker(*ALONE)
        run.join_worker(*ALONE)
        run.wait_for_all(2)
        steps = Steps(run)
        island.wall_off_but(run.url.rsplit(":", 1)[1])
        for _ in range(arguments.newcomers):
            before = longest_gap(steps)
            newcomer = run.join_worker(*ALONE, within=island.program)
            gaps.append((before, longest_gap(steps)))
            newcomer.kill()
            newcomer.wait()
            print("longest time between two steps {:.0f} ms, with the newcomer {:.0f} ms".format(
                *(1e3 * gap for gap in gaps[-1])), file=sys.stderr, flush=True)
        joins = sum(line["kind"] == "join" for line in run.happened)
        finish(run)
        generations = sum(line["kind"] == "generation" for line in run.happened)
    if joins < 2 + arguments.newcomers:
        raise Trouble(f"only {joins} workers joined")
    shutil.rmtree(scratch / "run")
    return gaps, generations


def longest_gap(steps):
    """Between two steps, in the seconds that a newcomer takes to be set aside."""
    steps.wait_for_next()
    begin = steps.moments[-1]
    steps.watch_for(NEWCOMER_SECONDS)
    steps.run.poll()
    return steps.longest_gap_since(begin)


def finish(run):
    """Ends the run in order; its ledger must prove that nothing is missing or done twice."""
    run.terminate()
    code, said = run.audit()
    if code != 0:
        raise Trouble(f"the audit failed:\n{said}")
    run.poll()


# ---- the command line -----------------------------------------------------------------------------------------------


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    programs.add_flags(parser)
    parser.add_argument("--seed", type=int, default=0, help="of how long the way is closed")
    parser.add_argument("--outages", type=int, default=60, help="how often the way between two workers is closed")
    parser.add_argument("--newcomers", type=int, default=10, help="workers that cannot be reached")
    arguments = parser.parse_args()
    if min(arguments.outages, arguments.newcomers) < 1:
        parser.error("--outages and --newcomers must be at least 1")
    programs.check_flags(arguments, parser)
    return arguments


def main():
    arguments = parse()
    end_in_order_when_terminated()
    scratch = Path(tempfile.mkdtemp(prefix="concentric-outages-"))
    try:
        recoveries, formed = close_again_and_again(scratch, arguments, random.Random(arguments.seed))
        gaps, generations = let_in_nobody(scratch, arguments)
    except Trouble as trouble:
        sys.exit(f"{trouble}\n(everything is kept in {scratch})")
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    shutil.rmtree(scratch)
    print(f"\n{hardware.processor()}, {hardware.machine()}; seed {arguments.seed}, {time.strftime('%Y-%m-%d')}\n")
    rows = [
        line("from the way's return to the next step", recoveries),
        line("longest time between two steps, before a newcomer", [before for before, _ in gaps]),
        line("longest time between two steps, with one that nobody reaches", [after for _, after in gaps]),
    ]
    print(table(["ms", "number", "p50", "p99"], rows))
    print(f"\n{formed} generations in the first run, {generations} in the second. No step was done twice.")


def line(what, seconds):
    return [what, str(len(seconds)), *(f"{1e3 * percentile(seconds, share):.0f}" for share in (50, 99))]


if __name__ == "__main__":
    main()
