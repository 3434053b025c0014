"""Two hundred random faults over one run, which must end with the same files as the undisturbed one.

    make soak
    python3 worker/benches/soak.py --faults 12 --seed 3

First the run goes undisturbed on one worker, then again on four while workers are killed one by one, in pairs and all
but one, stopped for a while, drained and scaled away, and the coordinator is killed and started again. Between two
faults the run gets at least one step further. At the end: every checkpoint, feature file and picture equals that of the
undisturbed run, so do the metrics but for the pace, the audit of the ledger is clean, no process is left, and neither
memory nor file descriptors nor threads have grown beyond what is allowed.

What the coordinator uses is compared between the first and the last tenth of the longest life of one, that of workers
between those of equal age early and late in the run, and within the life of the one that lived longest.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

# The modules beside this one leave no compiled copy in the source tree.
sys.dont_write_bytecode = True
import hardware  # noqa: E402
import programs  # noqa: E402
from pages import table  # noqa: E402
from random_faults import STEPS_PER_FAULT, WORKERS, Disturber  # noqa: E402
from results_of_runs import differences  # noqa: E402
from watched_run import Run, Trouble, end_in_order_when_terminated  # noqa: E402

SAMPLES, BATCH_SIZE = 400, 20
HEARTBEAT = {"interval": 0.5, "timeout": 2}
# From the end of a run to that of its last process.
LEAVE_SECONDS = 10


# ---- both runs ------------------------------------------------------------------------------------------------------


def flags(arguments, steps):
    epochs = -(-steps * BATCH_SIZE // SAMPLES)
    return [
        "--spawn", "--max-generations", 100000, "--dataset", arguments.data_dir, "--train-samples", SAMPLES,
        "--test-samples", 50, "--batch-size", BATCH_SIZE,
        "--epochs", epochs, "--max-steps", steps, "--log-every", 1, "--logical-shards", 4, "--threads", 1,
        "--picture-every", arguments.picture_every, "--checkpoint-every", 7, "--min-workers", 1,
        "--heartbeat-interval", HEARTBEAT["interval"], "--heartbeat-timeout", HEARTBEAT["timeout"],
    ]


def run_undisturbed(scratch, arguments, steps):
    with Run(arguments.programs, scratch / "undisturbed", [*flags(arguments, steps), "--workers", 1]) as run:
        try:
            run.to_the_end()
        except Trouble as trouble:
            raise Trouble(f"the undisturbed run: {trouble}\n{run.report()}") from None


def run_disturbed(scratch, arguments, steps):
    """The disturber, the audit's findings, and all problems in words."""
    with Run(arguments.programs, scratch / "run", [*flags(arguments, steps), "--workers", WORKERS]) as run:
        disturber = Disturber(run, steps, arguments.faults, arguments.seed)
        try:
            disturber.disturb()
            code = disturber.finish()
        except Trouble as trouble:
            raise Trouble(f"{trouble}\n{run.report()}") from None
        run.poll()
        problems = []
        if code != 0:
            problems.append(f"the run ended with {code}:\n{run.report()}")
        deadline = time.monotonic() + LEAVE_SECONDS
        while run.processes() and time.monotonic() < deadline:
            time.sleep(0.1)
        if run.processes():
            problems.append(f"processes {run.processes()} are left")
        code, said = run.audit()
        if code != 0:
            problems.append(f"the audit ended with {code}:\n{said}")
        return disturber, json.loads(said) if said.startswith("{") else {}, problems


def is_from_checkpoint(line):
    return line["kind"] == "generation" and line["origin"] == "checkpoint"


def print_tables(disturber, audit, files, rows, seconds):
    lines = [["faults", sum(disturber.done.values())]]
    lines += [[f"… {kind}", count] for kind, count in sorted(disturber.done.items())]
    for key in ("generations", "losses", "steps", "repeated_steps", "complete_epochs"):
        lines.append([key.replace("_", " "), audit.get(key, "–")])
    lines += [
        ["generations that went back to a checkpoint", sum(map(is_from_checkpoint, disturber.run.happened))],
        ["files compared", files],
        ["undisturbed run on one worker, s", f"{seconds[0]:.0f}"],
        [f"disturbed run on {WORKERS} workers, s", f"{seconds[1]:.0f}"],
    ]
    print(f"\n{table(['', ''], [[title, str(value)] for title, value in lines])}\n")
    uses = [[f"{what}: {measure}", *(f"{value:.0f}" for value in values)] for what, measure, *values in rows]
    print(table(["what", "first tenth", "last tenth", "allowed"], uses))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    programs.add_flags(parser)
    parser.add_argument("--seed", type=int, default=0, help="of what happens when to whom")
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--keep", action="store_true", help="keep both run directories where nothing is wrong, too")
    parser.add_argument("--picture-every", type=int, default=4, help="epochs between two pictures of the features")
    arguments = parser.parse_args()
    if arguments.faults < 1:
        parser.error("--faults must be at least 1")
    programs.check_flags(arguments, parser)
    return arguments


def main():
    arguments = parse()
    end_in_order_when_terminated()
    steps = STEPS_PER_FAULT * (arguments.faults + 2)
    scratch = Path(tempfile.mkdtemp(prefix="concentric-soak-"))
    kept = f"(seed {arguments.seed}; everything is kept in {scratch})"
    print(f"seed {arguments.seed}, {steps} steps", file=sys.stderr, flush=True)
    try:
        begin = time.monotonic()
        run_undisturbed(scratch, arguments, steps)
        middle = time.monotonic()
        print(f"the undisturbed run took {middle - begin:.0f} s", file=sys.stderr, flush=True)
        disturber, audit, problems = run_disturbed(scratch, arguments, steps)
        seconds = (middle - begin, time.monotonic() - middle)
        wrong, files = differences(scratch / "run", scratch / "undisturbed")
    except Trouble as trouble:
        sys.exit(f"{trouble}\n{kept}")
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    problems += wrong
    rows = disturber.resources.comparisons()
    problems += [
        f"a leak: {what} had {early:.0f} {measure} at first and {late:.0f} at last"
        for what, measure, early, late, allowed in rows
        if late > allowed
    ]
    if sum(disturber.done.values()) < arguments.faults:
        took_place = sum(disturber.done.values())
        problems.append(f"only {took_place} of {arguments.faults} faults took place before the run was over")
    print(f"\n{hardware.processor()}, {hardware.machine()}; {WORKERS} workers, seed {arguments.seed}, "
          f"{time.strftime('%Y-%m-%d')}")
    print_tables(disturber, audit, files, rows, seconds)
    if problems:
        sys.exit("\n" + "\n".join(problems) + f"\n{kept}")
    print("\nThe files are those of the undisturbed run, the audit is clean, nothing leaks, no process is left.")
    if arguments.keep:
        print(f"Everything is kept in {scratch}.")
    else:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
