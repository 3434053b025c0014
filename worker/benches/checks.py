"""Measures what it costs that workers prove to each other what they have computed, beside a build that does not.

    python3 worker/benches/checks.py --before OTHER/target/release --steps 100

By turns, each once per round: the other build, this one, and this one with --cross-check 100, 10 and 1; batches of 100 and of
20, one, two and four workers. One worker has nobody to compare with.
"""

import argparse
import sys
from pathlib import Path

# The modules beside this one leave no compiled copy in the source tree.
sys.dont_write_bytecode = True
import compare  # noqa: E402
from compare import Candidate, print_conditions, run_concentric  # noqa: E402
from pages import table  # noqa: E402
from watched_run import Trouble, end_in_order_when_terminated  # noqa: E402

EVERY = (100, 10, 1)


def candidates():
    return [
        [
            Candidate("before", "before", workers, batch_size=size),
            Candidate("now", "concentric", workers, batch_size=size),
            *(
                Candidate(f"K = {every}", "concentric", workers, ("--cross-check", every), size)
                for every in EVERY
                if workers > 1
            ),
        ]
        for size in (100, 20)
        for workers in (1, 2, 4)
    ]


def row(group):
    """The pace of the other build, then how much longer each of the others takes, in per cent."""
    before, *others = (candidate.median("images_per_second") for candidate in group)
    costs = [f"{100 * (before / pace - 1):+.1f}" for pace in others]
    costs += ["–"] * (1 + len(EVERY) - len(costs))
    workers = group[0].workers
    title = f"batches of {group[0].batch_size}, {workers} worker{'s' if workers > 1 else ''}"
    return [title, f"{before:.0f}", *costs]


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    compare.add_flags(parser, 100)
    parser.add_argument("--before", type=Path, required=True, help="the programs of another build, in this folder")
    arguments = parser.parse_args()
    compare.check_flags(arguments, parser)
    return arguments


def main():
    arguments = parse()
    end_in_order_when_terminated()
    groups = candidates()
    for number in range(arguments.rounds):
        for candidate in (candidate for group in groups for candidate in group):
            try:
                candidate.results.append(run_concentric(candidate, arguments))
            except Trouble as trouble:
                sys.exit(f"{candidate.name}: {trouble}")
            print(
                f"round {number + 1}/{arguments.rounds}  {candidate.name}, batches of {candidate.batch_size}, workers: "
                f"{candidate.workers}: {candidate.results[-1]['images_per_second']:.1f} images/s",
                file=sys.stderr, flush=True,
            )
    print_conditions(arguments, [candidate for group in groups for candidate in group])
    header = ["", "images/s before", "now, %", *(f"K = {every}, %" for every in EVERY)]
    print(f"\n{table(header, map(row, groups))}")


if __name__ == "__main__":
    main()
