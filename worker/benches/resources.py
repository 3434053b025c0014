"""What the processes of a run use over time, and whether it grows."""

import statistics
import time
from pathlib import Path

SAMPLE_SECONDS = 1
# Beyond this growth it is a leak.
MEMORY_FACTOR, MEMORY_MB, COUNT = 1.3, 50, 10
# Ages at which workers are compared, seconds: loaded, and reached by most.
AGES = (2, 15)
# Processes that end and that begin may be seen together.
PROCESSES = 2


class Resources:
    """What the run's processes use, over time."""

    def __init__(self, run):
        self.run = run
        self.begin = time.monotonic()
        self.next = self.begin
        # Per process: (time, age, memory in MB, descriptors, threads).
        self.of_coordinators = {}
        self.of_workers = {}
        self.counts = []

    def sample(self):
        now = time.monotonic()
        if now < self.next:
            return
        self.next = now + SAMPLE_SECONDS
        processes = self.run.processes()
        self.counts.append(len(processes))
        for process in processes:
            used = usage(process)
            if used is not None:
                group = self.of_coordinators if process == self.run.process.pid else self.of_workers
                history = group.setdefault(process, [])
                age = now - history[0][0] if history else 0.0
                history.append((now, age, *used))

    def comparisons(self):
        """Rows of what, measure, early, late, allowed."""
        coordinator = max(self.of_coordinators.values(), key=len, default=[])
        of_workers = [sample for history in self.of_workers.values() for sample in history]
        grown = [sample for sample in of_workers if AGES[0] <= sample[1] <= AGES[1]]
        longest = max(self.of_workers.values(), key=len, default=[])
        longest = [sample for sample in longest if sample[1] >= AGES[0]]
        rows = []
        named = [
            ("coordinator", coordinator),
            (f"workers {AGES[0]} to {AGES[1]} s old", sorted(grown)),
            ("the worker that lived longest", longest),
        ]
        for name, samples in named:
            for index, measure in enumerate(("memory, MB", "descriptors", "threads"), 2):
                early, late = tenths([sample[index] for sample in samples])
                allowed = MEMORY_FACTOR * early + MEMORY_MB if index == 2 else early + COUNT
                rows.append((f"{name} ({len(samples)} samples)", measure, early, late, allowed))
        early, late = tenths(self.counts)
        rows.append((f"the run ({len(self.counts)} samples)", "processes", early, late, early + PROCESSES))
        return rows


def usage(process):
    """Resident MB, descriptors, threads; None once the process is gone."""
    try:
        text = Path(f"/proc/{process}/status").read_text()
        descriptors = len(list(Path(f"/proc/{process}/fd").iterdir()))
    except OSError:
        return None
    lines = [line.split() for line in text.splitlines() if line.startswith(("VmRSS:", "Threads:"))]
    values = {line[0].rstrip(":"): line[1] for line in lines}
    if "VmRSS" not in values:
        return None
    return int(values["VmRSS"]) * 1024 / 1e6, descriptors, int(values["Threads"])


def tenths(values):
    """Medians of the first and the last tenth."""
    if not values:
        return 0.0, 0.0
    count = max(1, len(values) // 10)
    return statistics.median(values[:count]), statistics.median(values[-count:])
