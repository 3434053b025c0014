"""Where the time of our step goes on a GPU: rows for docs/performance.md, out of what nsys has seen of a worker.

    nsys stats --report cuda_gpu_sum --format csv RUN.nsys-rep | python3 worker/benches/phases.py --steps 1200

nsys comes with CUDA's toolkit. docs/performance.md has the whole command; `--cuda-graph-trace node` has to be part of it,
as nsys says nothing of the kernels of a CUDA graph without it. --steps is how many steps the worker did, recorded or not.
"""

import argparse
import csv
import sys

# The modules beside this one leave no compiled copy in the source tree.
sys.dont_write_bytecode = True
from kernel_kinds import by_kind  # noqa: E402
from pages import table  # noqa: E402

NANOSECONDS, NAME = "Total Time (ns)", "Operation"


def read(lines):
    """Kernels' and copies' names, and the nanoseconds of all of each; nsys talks before its table."""
    lines = iter(lines)
    header = next((line for line in lines if NANOSECONDS in line and NAME in line), None)
    if header is None:
        sys.exit(f"there is no line with `{NANOSECONDS}` and `{NAME}`: give what `nsys stats --report cuda_gpu_sum "
                 "--format csv` prints")
    # An empty line ends the table.
    rows = csv.DictReader([header, *(line for line in lines if line.strip())])
    return [(row[NAME], float(row[NANOSECONDS])) for row in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, required=True, help="steps that the worker did")
    arguments = parser.parse_args()
    if arguments.steps < 1:
        parser.error("--steps must be at least 1")
    spent = by_kind(read(sys.stdin))
    rows = [[f"on the GPU, Concentric: {kind}", f"{time / 1e6 / arguments.steps:.3f}"] for kind, time in spent.items()]
    rows.append(["on the GPU, Concentric: all of it", f"{sum(spent.values()) / 1e6 / arguments.steps:.3f}"])
    print(table(["milliseconds of a step", "of one run"], rows))


if __name__ == "__main__":
    main()
