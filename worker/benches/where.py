"""Where the time of a step goes on a CPU: a row for docs/performance.md, out of what perf has seen of a worker.

    perf record -F 500 -e cpu-clock -o worker.perf -p PID -- sleep 20
    perf script -i worker.perf -F ip,sym,dso --show-mmap-events 2>/dev/null |
        python3 worker/benches/where.py target/release/worker

Each sample is one of the kind that the innermost of the functions it lies in belongs to, as far as its source file tells,
functions that were inlined among them; `addr2line` says which they are. The worker has to be the release build, which keeps
lines of code.
"""

import argparse
import collections
import re
import subprocess
import sys

# The modules beside this one leave no compiled copy in the source tree.
sys.dont_write_bytecode = True
from pages import table  # noqa: E402

# Parts of source files' names, the first that is found counts.
KINDS = [
    ("products", ("engine/src/product.rs",)),
    ("transforms, and copies into matrices", ("engine/src/winograd/", "engine/src/direct.rs", "engine/src/copying.rs")),
    ("BatchNorm, PReLU, pool, and their sums", ("mathematics/kernels/", "network/flow.rs", "network/per_image.rs")),
    ("the rest of the kernels", ("engine/src/",)),
    ("exchanges", ("/reduction/", "/collective/")),
]
OTHER, LIBRARY, KERNEL = "the rest of the worker", "libraries: libtorch, Gloo, libc", "Linux"


# Where perf saw the program's code: its place in memory, and in the file.
MAPPED = re.compile(r"PERF_RECORD_MMAP2 .*\[(0x[0-9a-f]+)\(0x[0-9a-f]+\) @ (0|0x[0-9a-f]+) .*r-xp .*/worker$")


def samples(lines, in_file):
    """How often each address of the program was met, and each place outside of it."""
    inside, outside, shift = collections.Counter(), collections.Counter(), 0
    for line in map(str.strip, lines):
        if mapped := MAPPED.match(line):
            shift = int(mapped[2], 16) - int(mapped[1], 16) + in_file
        address, _, rest = line.partition(" ")
        if line.startswith("PERF_") or not rest:
            continue
        if rest.endswith("/worker)"):
            inside[int(address, 16) + shift] += 1
        else:
            outside[KERNEL if "[kernel" in rest or "[unknown" in rest else LIBRARY] += 1
    return inside, outside


def code_offset(program):
    """How far the program's code lies from its place in the file."""
    text = subprocess.run(["readelf", "-lW", program], capture_output=True, text=True, check=True).stdout
    loads = (line.split() for line in text.splitlines() if line.split()[:1] == ["LOAD"] and " R E " in line)
    offset, address = next((int(words[1], 16), int(words[2], 16)) for words in loads)
    return address - offset


def kinds(program, addresses):
    """The kind of each address."""
    done = subprocess.run(
        ["addr2line", "-a", "-i", "-e", program], input="\n".join(map(hex, addresses)), capture_output=True, text=True, check=True,
    )
    found, current = {}, None
    for line in done.stdout.splitlines():
        if line.startswith("0x"):
            current = line
            found[int(current, 16)] = OTHER
        elif found[int(current, 16)] == OTHER:
            kind = next((kind for kind, parts in KINDS if any(part in line for part in parts)), None)
            # Registers and memory serve all: the function that uses them says what for.
            if kind and not any(name in line for name in ("x86.rs", "memory.rs", "vector.rs")):
                found[int(current, 16)] = kind
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the worker that was measured")
    arguments = parser.parse_args()
    inside, outside = samples(sys.stdin, code_offset(arguments.program))
    if not inside:
        sys.exit("no sample lies in the worker: give what `perf script -F ip,sym,dso --show-mmap-events` prints")
    shares = collections.Counter(outside)
    of_address = kinds(arguments.program, list(inside))
    for address, count in inside.items():
        shares[of_address[address]] += count
    total = sum(shares.values())
    rows = [[kind, f"{100 * count / total:.1f}"] for kind, count in shares.most_common()]
    print(table(["a worker's processor time", "%"], rows))


if __name__ == "__main__":
    main()
