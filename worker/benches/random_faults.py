"""Random faults to a run: which come when, and how each is done.

Workers are killed one by one, in pairs and all but one, stopped for a while, drained and scaled away, and the
coordinator is killed and started again. Between two faults the run gets at least one step further.
"""

import random
import signal
import sys
import time
from collections import Counter

from resources import Resources
from watched_run import QUIET_SECONDS, Trouble

WORKERS = 4
STEPS_PER_FAULT = 12
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
# Of a stopped worker: short of being noticed, up to long after it was evicted.
HANG_SECONDS = (0.5, 8)
POLL_SECONDS = 0.1
# No wait for the next step takes longer.
STEP_SECONDS = 180


class Disturber:
    """Does one thing after the other to a run, until all faults have taken place or the run is about to end."""

    def __init__(self, run, steps, faults, seed):
        self.run = run
        self.steps = steps
        self.chance = random.Random(seed)
        self.plan = plan_faults(faults, self.chance)
        self.resources = Resources(run)
        self.done = Counter()
        self.scaled = WORKERS
        # The process that is stopped, and until when.
        self.stopped = None
        self.is_ending = False

    def disturb(self):
        # Until then what the processes use grows, and is no leak.
        self.run.wait_for_all(WORKERS)
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
        self.wait("the end of the run", lambda: None, QUIET_SECONDS)
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
