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
import sys
import time

# The modules beside this one leave no compiled copy in the source tree.
sys.dont_write_bytecode = True
import programs  # noqa: E402
from pages import table  # noqa: E402
from random_faults import STEPS_PER_FAULT, WORKERS, Disturber  # noqa: E402
from results_of_runs import BothRuns, flags  # noqa: E402
from watched_run import Run, Trouble, end_in_order_when_terminated  # noqa: E402

HEARTBEAT = {"interval": 0.5, "timeout": 2}
# From the end of a run to that of its last process.
LEAVE_SECONDS = 10


def run_disturbed(directory, arguments, flags, steps):
    """The disturber, the audit's findings, and all problems in words."""
    with Run(arguments.programs, directory, [*flags, "--workers", WORKERS]) as run:
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


def print_tables(disturber, audit, both, rows):
    lines = [["faults", sum(disturber.done.values())]]
    lines += [[f"… {kind}", count] for kind, count in sorted(disturber.done.items())]
    for key in ("generations", "losses", "steps", "repeated_steps", "complete_epochs"):
        lines.append([key.replace("_", " "), audit.get(key, "–")])
    lines += [
        ["generations that went back to a checkpoint", sum(map(is_from_checkpoint, disturber.run.happened))],
        *both.rows(WORKERS),
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
    print(f"seed {arguments.seed}, {steps} steps", file=sys.stderr, flush=True)
    both_flags = [
        *flags(arguments, steps, 4, arguments.picture_every), "--min-workers", 1,
        "--heartbeat-interval", HEARTBEAT["interval"], "--heartbeat-timeout", HEARTBEAT["timeout"],
    ]
    both = BothRuns("soak", arguments, both_flags, lambda run: run_disturbed(run, arguments, both_flags, steps))
    disturber, audit, problems = both.found
    problems += both.differences
    rows = disturber.resources.comparisons()
    problems += [
        f"a leak: {what} had {early:.0f} {measure} at first and {late:.0f} at last"
        for what, measure, early, late, allowed in rows
        if late > allowed
    ]
    if sum(disturber.done.values()) < arguments.faults:
        took_place = sum(disturber.done.values())
        problems.append(f"only {took_place} of {arguments.faults} faults took place before the run was over")
    both.print_conditions(WORKERS)
    print_tables(disturber, audit, both, rows)
    both.end(
        problems,
        "The files are those of the undisturbed run, the audit is clean, nothing leaks, no process is left.",
    )


if __name__ == "__main__":
    main()
