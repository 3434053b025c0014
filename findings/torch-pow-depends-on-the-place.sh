#!/usr/bin/env bash
# torch.pow of equal numbers in one tensor gives two different numbers, by where in memory they lie: what fills whole
# vectors is computed by other code than what is left over at the end. A number's power therefore depends on the length
# of the tensor it is part of, and of the part of it that a thread is given. torch.sigmoid does it too, seldom; exp, log,
# sin, tanh, erf did not.
#
# So cutting a batch into parts can change the last bits of what is computed element by element, with no sum anywhere.
#
# Seen 2026-11-29 with torch 2.11.0 on an AMD EPYC (Zen 4, AVX-512), Linux. Prints, of 1,000 tensors of 37 equal numbers:
#   pow: 762 hold more than one number
#   sigmoid: 3 hold more than one number
#   4.962565898895264 to the power of 1.7 is 15.230029106140137 at place 0, 15.230027198791504 from place 32 on
#
# Ends with 0 while a power depends on its place, with 1 once none does.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.11.0 numpy==2.4.6

"$folder/venv/bin/python" - <<'PYTHON'
import sys

import torch

torch.set_num_threads(1)
print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
functions = {"pow": lambda x: torch.pow(x, 1.7), "sigmoid": torch.sigmoid, "exp": torch.exp, "log": torch.log,
             "sin": torch.sin, "tanh": torch.tanh, "erf": torch.erf}
generator = torch.Generator().manual_seed(0)
numbers = 10 * torch.rand(1000, generator=generator)
uneven = {}
for name, function in functions.items():
    results = (function(number.expand(37).contiguous()) for number in numbers)
    uneven[name] = sum(len(result.unique()) > 1 for result in results)
    print(f"{name}: {uneven[name]} hold more than one number")
for number in numbers:
    result = torch.pow(number.expand(37).contiguous(), 1.7)
    if len(result.unique()) > 1:
        first = (result != result[0]).nonzero()[0].item()
        print(f"{number.item()} to the power of 1.7 is {result[0].item()} at place 0, {result[first].item()} from place {first} on")
        break
sys.exit(0 if uneven["pow"] else "no power depends on its place")
PYTHON
