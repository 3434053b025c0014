"""Whether two runs have left the same: every file, and every figure that does not tell of time."""

import hashlib
import json

FOLDERS = ["checkpoints", "features", "pictures"]


def hashes(directory):
    """SHA-256 of every result by path."""
    files = [path for folder in FOLDERS for path in sorted((directory / folder).rglob("*")) if path.is_file()]
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def metrics(directory):
    """All lines without what depends on the machine's pace."""
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "images_per_second"} for line in lines]


def differences(disturbed, undisturbed):
    """What is wrong with the results, in words."""
    found, expected = hashes(disturbed), hashes(undisturbed)
    problems = [f"{path} is missing" for path in expected.keys() - found.keys()]
    problems += [f"{path} is one too many" for path in found.keys() - expected.keys()]
    problems += [f"{path} differs" for path in found.keys() & expected.keys() if found[path] != expected[path]]
    if not any(path.startswith("checkpoints/last") for path in expected):
        problems.append("the undisturbed run has no last checkpoint")
    lines = metrics(disturbed), metrics(undisturbed)
    if lines[0] != lines[1]:
        first = next((i for i, (a, b) in enumerate(zip(*lines)) if a != b), min(map(len, lines)))
        found, expected = (part[first:first + 1] for part in lines)
        problems.append(f"metrics.jsonl differs from line {first + 1} on: {found}, not {expected}")
    return sorted(problems), len(expected)
