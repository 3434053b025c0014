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
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

# The modules beside this one leave no compiled copy in the source tree.
sys.dont_write_bytecode = True
import hardware  # noqa: E402
import programs  # noqa: E402
from pages import table  # noqa: E402
from results_of_runs import differences  # noqa: E402
from watched_run import Run, Trouble, end_in_order_when_terminated  # noqa: E402

WORKERS, SHARDS = 3, 3
SAMPLES, BATCH_SIZE = 400, 20
# A bit changes in every few steps of a generation, and most end it.
STEPS_PER_FLIP = 1.6
STRUCK = re.compile(r"a planned fault.*part: (\w+)")
FOUND = re.compile(
    r"training failed: .*?(?:computed something else than the others in (.*?):|have changed in this worker's memory)"
)
OF_STATE = ("Parameter", "Momentum", "Center", "Statistic")


def flags(arguments):
    steps = round(arguments.flips * STEPS_PER_FLIP)
    return [
        "--spawn", "--max-generations", 100000, "--dataset", arguments.data_dir, "--train-samples", SAMPLES,
        "--test-samples", 50, "--batch-size", BATCH_SIZE, "--epochs", -(-steps * BATCH_SIZE // SAMPLES),
        "--max-steps", steps, "--log-every", 1, "--logical-shards", SHARDS, "--threads", 1, "--picture-every", 50,
        "--checkpoint-every", 7,
    ]


def run_undisturbed(scratch, arguments):
    with Run(arguments.programs, scratch / "undisturbed", [*flags(arguments), "--workers", 1]) as run:
        run.to_the_end()


def run_disturbed(scratch, arguments):
    own = ["--workers", WORKERS, "--cross-check", 1]
    fault = f"flips={arguments.seed}"
    with Run(arguments.programs, scratch / "run", [*flags(arguments), *own], CONCENTRIC_FAULT=fault) as run:
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


def print_tables(flips, audit, files, seconds):
    counts = Counter(flips)
    parts = sorted({part for part, _ in flips}, key=lambda part: (part not in OF_STATE, part))
    means = ("digest", "cross-check", "nothing")
    rows = [[part.lower(), *(str(counts[part, by]) for by in means)] for part in parts]
    rows.append(["all", *(str(sum(counts[part, by] for part in parts)) for by in means)])
    header = ["a bit of", "found by the digest", "found by the cross-check", "not found: it changed nothing"]
    print(f"\n{table(header, rows)}\n")
    lines = [[key.replace("_", " "), audit.get(key, "–")] for key in ("generations", "losses", "steps")]
    lines += [
        ["files compared", files],
        ["undisturbed run on one worker, s", f"{seconds[0]:.0f}"],
        [f"disturbed run on {WORKERS} workers, s", f"{seconds[1]:.0f}"],
    ]
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
    scratch = Path(tempfile.mkdtemp(prefix="concentric-flips-"))
    kept = f"(seed {arguments.seed}; everything is kept in {scratch})"
    try:
        begin = time.monotonic()
        run_undisturbed(scratch, arguments)
        middle = time.monotonic()
        audit = run_disturbed(scratch, arguments)
        seconds = (middle - begin, time.monotonic() - middle)
        problems, files = differences(scratch / "run", scratch / "undisturbed")
    except Trouble as trouble:
        sys.exit(f"{trouble}\n{kept}")
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    flips, unfounded = what_became_of_them(scratch / "run")
    if unfounded:
        problems.append(f"{unfounded} workers were evicted that no flip had hit")
    print(f"\n{hardware.processor()}, {hardware.machine()}; {WORKERS} workers, seed {arguments.seed}, "
          f"{len(flips)} flips, {time.strftime('%Y-%m-%d')}")
    print_tables(flips, audit, files, seconds)
    if problems:
        sys.exit("\n" + "\n".join(problems) + f"\n{kept}")
    print("\nThe files are those of the undisturbed run and the audit is clean: what was not found has changed nothing.")
    if arguments.keep:
        print(f"Everything is kept in {scratch}.")
    else:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
