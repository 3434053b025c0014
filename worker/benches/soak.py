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
import hashlib
import json
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

# The module beside this one leaves no compiled copy in the source tree.
sys.dont_write_bytecode = True
from recovery import (  # noqa: E402
    WORKERS, Run, Trouble, add_common_flags, check_common_flags, describe_machine, end_in_order_when_terminated,
)

STEPS_PER_FAULT = 12
SAMPLES, BATCH_SIZE = 400, 20
FOLDERS = ["checkpoints", "features", "pictures"]
HEARTBEAT = {"interval": 0.5, "timeout": 2}
# Of a stopped worker: short of being noticed, up to long after it was evicted.
HANG_SECONDS = (0.5, 8)
POLL_SECONDS = 0.1
SAMPLE_SECONDS = 1
# No wait for the next step takes longer, and neither run.
STEP_SECONDS, RUN_SECONDS = 180, 7200
# How often each fault comes, and how many workers it needs to be there.
FAULTS = {
    "kill one": (30, 2),
    "kill two": (15, 3),
    "kill all but one": (12, 2),
    "stop": (15, 2),
    "scale": (13, 1),
    "drain": (10, 2),
    "kill the coordinator": (5, 1),
}
# Beyond this growth it is a leak.
MEMORY_FACTOR, MEMORY_MB, COUNT = 1.3, 50, 10
# Ages at which workers are compared, seconds: loaded, and reached by most.
AGES = (2, 15)
# Processes that end and that begin may be seen together.
PROCESSES = 2


# ---- resources ------------------------------------------------------------------------------------------------------


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


# ---- faults ---------------------------------------------------------------------------------------------------------


class Disturber:
    """Does one thing after the other to a run, until all faults have taken place or the run is about to end."""

    def __init__(self, run, arguments, steps):
        self.run = run
        self.steps = steps
        self.chance = random.Random(arguments.seed)
        self.plan = plan_faults(arguments.faults, self.chance)
        self.resources = Resources(run)
        self.done = Counter()
        self.scaled = WORKERS
        # The process that is stopped, and until when.
        self.stopped = None
        self.is_ending = False

    def disturb(self):
        for number, kind in enumerate(self.plan):
            # Spread over the run; where the run is ahead of the plan there is no waiting.
            planned = STEPS_PER_FAULT * number + self.chance.randint(2, STEPS_PER_FAULT - 2)
            status = self.wait_for_step(planned)
            if status is None:
                return
            _, needed = FAULTS[kind]
            if len(status["workers"]) < needed or self.scaled < needed:
                status = self.wait_for_workers(needed)
                if status is None:
                    return
            what = self.inject(kind, status)
            self.done[kind] += 1
            place = f"step {status['step']}, generation {status['generation']}"
            print(f"fault {number + 1}/{len(self.plan)} at {place}: {what}", file=sys.stderr, flush=True)
            if self.wait_for_step(status["step"] + 1) is None:
                return

    def finish(self):
        """Waits for the end of the run; returns its exit code."""
        self.wait_for_step(self.steps)
        self.wait("the end of the run", lambda: None, RUN_SECONDS)
        return self.run.process.returncode

    def inject(self, kind, status):
        workers = status["workers"]
        if kind == "kill the coordinator":
            self.run.replace_coordinator()
            self.scaled = WORKERS
            return kind
        if kind == "scale":
            self.scale(self.chance.randint(2, WORKERS))
            return f"scale to {self.scaled}"
        if kind == "drain":
            return self.drain(self.chance.choice(workers))
        if kind == "stop":
            self.wake()
            victim = self.chance.choice(workers)
            seconds = self.chance.uniform(*HANG_SECONDS)
            self.run.signal(victim["process_id"], signal.SIGSTOP)
            self.stopped = (victim["process_id"], time.monotonic() + seconds)
            return f"stop {name(victim)} for {seconds:.1f} s"
        count = {"kill one": 1, "kill two": 2, "kill all but one": len(workers) - 1}[kind]
        # One that is stopped cannot be the one that goes on.
        stopped = self.stopped[0] if self.stopped else None
        order = sorted(workers, key=lambda worker: (worker["process_id"] != stopped, self.chance.random()))
        victims = order[:count] if kind == "kill all but one" else self.chance.sample(workers, count)
        for victim in victims:
            self.run.signal(victim["process_id"], signal.SIGKILL)
        return f"{kind}: {', '.join(map(name, victims))}"

    def scale(self, workers):
        asked = self.run.ask("scale", workers)
        if asked.returncode != 0:
            raise Trouble(f"scale {workers} failed: {asked.stderr}")
        self.scaled = workers

    def drain(self, victim):
        asked = self.run.ask("drain", victim["slot"])
        if asked.returncode != 0 and "there is no worker in slot" not in asked.stderr:
            raise Trouble(f"drain {victim['slot']} failed: {asked.stderr}")
        if self.stopped and self.stopped[0] == victim["process_id"]:
            self.wake()

        def is_gone():
            status = self.run.status()
            here = [worker["process_id"] for worker in status["workers"]] if status else [victim["process_id"]]
            return True if victim["process_id"] not in here else None

        self.wait(f"{name(victim)} to leave", is_gone)
        if self.run.process.poll() is None:
            self.scale(WORKERS)
        return f"drain {name(victim)}, scale to {WORKERS}"

    def wait_for_step(self, step):
        """The status once so many steps are done; None where the run is about to end."""
        last = self.steps - STEPS_PER_FAULT // 2

        def probe():
            status = self.run.status()
            return status if status and (status["step"] >= min(step, last)) else None

        status = self.wait(f"step {step}", probe)
        self.is_ending = status is None or status["step"] >= last
        return None if self.is_ending else status

    def wait_for_workers(self, count):
        """The status once so many workers are there, which a fault needs."""
        if self.scaled < count:
            self.scale(WORKERS)

        def probe():
            status = self.run.status()
            return status if status and len(status["workers"]) >= count else None

        return self.wait(f"{count} workers", probe)

    def wait(self, what, probe, limit=STEP_SECONDS):
        """What `probe` finds; None where the run ended. Meanwhile resources are sampled and the stopped is woken."""

        def attend():
            # Workers that are leaving use less and less.
            if not self.is_ending:
                self.resources.sample()
            if self.stopped and time.monotonic() >= self.stopped[1]:
                self.wake()
            if self.run.process.poll() is not None:
                return (None,)
            found = probe()
            return None if found is None else (found,)

        return self.run.wait_for(what, attend, POLL_SECONDS, limit)[0]

    def wake(self):
        if self.stopped:
            self.run.signal(self.stopped[0], signal.SIGCONT)
            self.stopped = None


def plan_faults(count, chance):
    """The kinds of all faults in order: in proportion, shuffled, coordinators only in the first half."""
    weights = {kind: weight for kind, (weight, _) in FAULTS.items()}
    total = sum(weights.values())
    shares = {kind: max(1, count * weight // total) for kind, weight in weights.items()}
    plan = [kind for kind, share in shares.items() for _ in range(share)]
    chance.shuffle(plan)
    plan += ["kill one"] * max(0, count - len(plan))
    plan = plan[:count]
    half = count // 2
    late = [index for index in range(half, count) if plan[index] == "kill the coordinator"]
    early = [index for index in range(half) if plan[index] != "kill the coordinator"]
    for index, other in zip(late, chance.sample(early, min(len(late), len(early)))):
        plan[index], plan[other] = plan[other], plan[index]
    return plan


def name(worker):
    return f"slot {worker['slot']} ({worker['process_id']})"


# ---- what is left behind --------------------------------------------------------------------------------------------


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


# ---- both runs ------------------------------------------------------------------------------------------------------


def flags(arguments, steps):
    epochs = -(-steps * BATCH_SIZE // SAMPLES)
    return [
        "--spawn", "--max-generations", 100000, "--listen", "127.0.0.1:0", "--dataset", arguments.data_dir,
        "--train-samples", SAMPLES, "--test-samples", 50, "--batch-size", BATCH_SIZE,
        "--epochs", epochs, "--max-steps", steps, "--log-every", 1, "--logical-shards", 4, "--threads", 1,
        "--picture-every", arguments.picture_every, "--checkpoint-every", 7, "--min-workers", 1,
        "--heartbeat-interval", HEARTBEAT["interval"], "--heartbeat-timeout", HEARTBEAT["timeout"],
    ]


def run_undisturbed(scratch, arguments, steps):
    with Run(arguments.programs, scratch / "undisturbed", [*flags(arguments, steps), "--workers", 1]) as run:
        try:
            code = run.process.wait(timeout=RUN_SECONDS)
        except Exception as error:
            raise Trouble(f"the undisturbed run: {error}\n{run.report()}") from None
        if code != 0:
            raise Trouble(f"the undisturbed run ended with {code}\n{run.report()}")


def run_disturbed(scratch, arguments, steps):
    """The disturber, the audit's findings, and all problems in words."""
    with Run(arguments.programs, scratch / "run", [*flags(arguments, steps), "--workers", WORKERS]) as run:
        disturber = Disturber(run, arguments, steps)
        try:
            disturber.disturb()
            code = disturber.finish()
        except Trouble as trouble:
            raise Trouble(f"{trouble}\n{run.report()}") from None
        run.poll()
        problems = []
        if code != 0:
            problems.append(f"the run ended with {code}:\n{run.report()}")
        deadline = time.monotonic() + 10
        while run.processes() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        if run.processes():
            problems.append(f"processes {run.processes()} are left")
        code, said = run.audit()
        if code != 0:
            problems.append(f"the audit ended with {code}:\n{said}")
        return disturber, json.loads(said) if said.startswith("{") else {}, problems


def is_from_checkpoint(line):
    return line["kind"] == "generation" and line["origin"] == "checkpoint"


def print_table(disturber, audit, files, rows, seconds):
    print("\n| | |\n|---|---:|")
    print(f"| faults | {sum(disturber.done.values())} |")
    for kind, count in sorted(disturber.done.items()):
        print(f"| … {kind} | {count} |")
    for key in ("generations", "losses", "steps", "repeated_steps", "complete_epochs"):
        print(f"| {key.replace('_', ' ')} | {audit.get(key, '–')} |")
    back = sum(is_from_checkpoint(line) for line in disturber.run.happened)
    print(f"| generations that went back to a checkpoint | {back} |")
    print(f"| files compared | {files} |")
    print(f"| undisturbed run on one worker, s | {seconds[0]:.0f} |")
    print(f"| disturbed run on {WORKERS} workers, s | {seconds[1]:.0f} |")
    print("\n| what | measure | first tenth | last tenth | allowed |\n|---|---|---:|---:|---:|")
    for what, measure, early, late, allowed in rows:
        print(f"| {what} | {measure} | {early:.0f} | {late:.0f} | {allowed:.0f} |")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_flags(parser)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--keep", action="store_true", help="keep both run directories where nothing is wrong, too")
    parser.add_argument("--picture-every", type=int, default=4, help="epochs between two pictures of the features")
    arguments = parser.parse_args()
    if arguments.faults < 1:
        parser.error("--faults must be at least 1")
    check_common_flags(arguments, parser)
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
    print(f"\n{describe_machine(arguments.seed)}")
    print_table(disturber, audit, files, rows, seconds)
    if problems:
        sys.exit("\n" + "\n".join(problems) + f"\n{kept}")
    print("\nThe files are those of the undisturbed run, the audit is clean, nothing leaks, no process is left.")
    if arguments.keep:
        print(f"Everything is kept in {scratch}.")
    else:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
