#!/usr/bin/env bash
# Image.resize of the same picture to the same size with the same filter leaves other bytes from Pillow 13 on. Both round
# twice, after the pass along rows and after the one along columns; what is seen fits a 13 that takes columns first where that
# leaves fewer numbers in between, while up to 12 rows came first. Where rows come first in both, which is so of most pictures that
# get smaller on both sides, they are equal to the last bit.
#
# So a data set that is resized while it is read is another one after an upgrade, by single levels of single pixels, though
# nothing in the code that trains has changed.
#
# Seen 2026-11-30 with Pillow 12.3.0 and 13.0.0, CPython 3.11, x86-64 Linux. Prints:
#   640×480 → 32×32: equal
#   500×375 → 224×224: equal
#   33×77 → 32×32: 709 of 3072 numbers differ, by 1 at most
#   64×64 → 200×16: 2118 of 9600 numbers differ, by 1 at most
#
# Ends with 0 while some sizes differ and others do not, with 1 once that has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
for version in 12.3.0 13.0.0; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "pillow==$version"
done

cat >"$folder/resize.py" <<'PYTHON'
import json
import sys

from PIL import Image

SIZES = [((640, 480), (32, 32)), ((500, 375), (224, 224)), ((33, 77), (32, 32)), ((64, 64), (200, 16))]


def picture(width, height):
    numbers = ((37 * y + 61 * x + 83 * k + 13 * x * y) % 256 for y in range(height) for x in range(width) for k in range(3))
    return Image.frombytes("RGB", (width, height), bytes(numbers))


resized = (picture(*size).resize(to, Image.Resampling.BILINEAR) for size, to in SIZES)
json.dump([[size, to, list(image.tobytes())] for (size, to), image in zip(SIZES, resized)], sys.stdout)
PYTHON
for version in 12.3.0 13.0.0; do
    "$folder/$version/bin/python" "$folder/resize.py" >"$folder/$version.json"
done

python3 - "$folder/12.3.0.json" "$folder/13.0.0.json" <<'PYTHON'
import json
import sys

before, after = (json.load(open(path)) for path in sys.argv[1:])
counts = []
for ((width, height), (to_width, to_height), old), (_, _, new) in zip(before, after, strict=True):
    differences = [abs(a - b) for a, b in zip(old, new, strict=True) if a != b]
    counts.append(len(differences))
    verdict = f"{len(differences)} of {len(old)} numbers differ, by {max(differences)} at most" if differences else "equal"
    print(f"{width}×{height} → {to_width}×{to_height}: {verdict}")
sys.exit(0 if any(counts) and not all(counts) else "Pillow 12.3.0 and 13.0.0 resize alike, or never do")
PYTHON
