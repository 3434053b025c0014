"""A thousand flipped bits in one run, which must end with the same files as the undisturbed one.

    make soak
    python3 worker/benches/flips.py --flips 50 --seed 3

First the run goes undisturbed on one worker, then again on three that cross-check every step. In every few steps one bit
changes in one of them: half of them in what all have alike (a parameter, a momentum, a center, a running statistic),
half in what a logical shard adds (a partial sum, an activation, a gradient). Who computes something else is to be found at
that step and evicted, and another takes its place. At the end: every file and all metrics are those of the undisturbed
run, so that a flip that was not found has changed nothing, and nobody was accused who was not hit.
"""

import argparse
import json
import re
import sys
from collections import Counter

# The modules beside this one leave no compiled copy in the source tree.
sys.dont_write_bytecode = True
import programs  # noqa: E402
from pages import table  # noqa: E402
from results_of_runs import BothRuns, flags  # noqa: E402
from watched_run import Run, Trouble, end_in_order_when_terminated  # noqa: E402

WORKERS, SHARDS = 3, 3
# A bit changes in every few steps of a generation, and most end it.
STEPS_PER_FLIP = 1.6
STRUCK = re.compile(r"a planned fault.*part: (\w+)")
FOUND = re.compile(
    r"training failed: .*?(?:computed something else than the others in (.*?):|have changed in this worker's memory)"
)
OF_STATE = ("Parameter", "Momentum", "Center", "Statistic")


def run_disturbed(directory, arguments, both_flags):
    """The audit's findings."""
    own = ["--workers", WORKERS, "--cross-check", 1]
    fault = f"flips={arguments.seed}"
    with Run(arguments.programs, directory, [*both_flags, *own], CONCENTRIC_FAULT=fault) as run:
        try:
            run.to_the_end()
        except Trouble as trouble:
            raise Trouble(f"{trouble}\n{run.report()}") from None
        code, said = run.audit()
    if code != 0:
        raise Trouble(f"the audit ended with {code}:\n{said}")
    return json.loads(said)


def what_became_of_them(directory):
    """(part, what found it) of every flip in the order of each worker's log, and accusations without a flip."""
    flips, unfounded = [], 0
    for log in sorted((directory / "logs").glob("worker-*.log")):
        struck = None
        for line in log.read_text(errors="replace").splitlines():
            if "starting" in line and "generation=" in line or STRUCK.search(line):
                if struck:
                    flips.append((struck, "nothing"))
                struck = None
            if hit := STRUCK.search(line):
                struck = hit[1]
            elif found := FOUND.search(line):
                means = "cross-check" if "logical shard" in (found[1] or "") else "digest"
                if struck:
                    flips.append((struck, means))
                else:
                    unfounded += 1
                struck = None
        if struck:
            flips.append((struck, "nothing"))
    return flips, unfounded


def print_tables(flips, both):
    counts = Counter(flips)
    parts = sorted({part for part, _ in flips}, key=lambda part: (part not in OF_STATE, part))
    means = ("digest", "cross-check", "nothing")
    rows = [[part.lower(), *(str(counts[part, by]) for by in means)] for part in parts]
    rows.append(["all", *(str(sum(counts[part, by] for part in parts)) for by in means)])
    header = ["a bit of", "found by the digest", "found by the cross-check", "not found: it changed nothing"]
    print(f"\n{table(header, rows)}\n")
    lines = [[key, both.found.get(key, "–")] for key in ("generations", "losses", "steps")] + both.rows(WORKERS)
    print(table(["", ""], [[title, str(value)] for title, value in lines]))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    programs.add_flags(parser)
    parser.add_argument("--seed", type=int, default=0, help="of which bits change when")
    parser.add_argument("--flips", type=int, default=1000, help="about so many")
    parser.add_argument("--keep", action="store_true", help="keep both run directories where nothing is wrong, too")
    arguments = parser.parse_args()
    if arguments.flips < 1:
        parser.error("--flips must be at least 1")
    programs.check_flags(arguments, parser)
    return arguments


def main():
    arguments = parse()
    end_in_order_when_terminated()
    both_flags = flags(arguments, round(arguments.flips * STEPS_PER_FLIP), SHARDS, 50)
    both = BothRuns("flips", arguments, both_flags, lambda run: run_disturbed(run, arguments, both_flags))
    problems = both.differences
    flips, unfounded = what_became_of_them(both.disturbed)
    if unfounded:
        problems.append(f"{unfounded} workers were evicted that no flip had hit")
    both.print_conditions(WORKERS, f"{len(flips)} flips")
    print_tables(flips, both)
    both.end(
        problems,
        "The files are those of the undisturbed run and the audit is clean: what was not found has changed nothing.",
    )


if __name__ == "__main__":
    main()
