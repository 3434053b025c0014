"""A run of the real programs, watched from outside: its ledger, its status, its processes, and their ends.

Every wait has a deadline. What a run should do and did not is `Trouble`, and leaving a run kills all its processes.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from programs import environment

# Names the run in the environment of each of its processes, whoever started it.
MARK = "CONCENTRIC_BENCH_RUN"
# No wait takes longer, even on a busy machine.
WAIT_SECONDS, ASK_SECONDS = 180, 60
# A run that writes no line of metrics for so long stands still.
QUIET_SECONDS = 900
# Between two looks at events.jsonl, at the status, and at whether a run is over.
WATCH_SECONDS, STATUS_SECONDS, END_SECONDS = 0.005, 0.1, 0.1
TAIL_LINES = 25


class Trouble(Exception):
    """The run did not do what it should."""


class Lines:
    """The whole lines of a growing file of JSON lines, each read once."""

    def __init__(self, path):
        self.path = path
        self.offset = 0

    def new(self):
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self.offset += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


class Run:
    """A coordinator with its workers, on the CPU where nothing else is said. Left, all its processes are killed."""

    def __init__(self, programs, directory, flags, device="cpu", resume=False, host="127.0.0.1", **variables):
        self.programs = programs
        self.program = str(programs / "coordinator")
        self.directory = directory
        self.mark = f"{os.getpid()}-{directory.name}-{time.monotonic_ns()}"
        self.environment = environment(device, **variables, **{MARK: self.mark})
        self.events = Lines(directory / "events.jsonl")
        self.happened = []
        self.worker = None
        self.listen = f"{host}:0"
        self._start("--resume" if resume else "--run-dir", directory, *flags)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill_everything()

    def _start(self, *flags):
        self.process = self._launch([self.program, "--listen", self.listen, *map(str, flags)], ".printed")

    def _launch(self, command, suffix):
        with self.directory.with_suffix(suffix).open("a") as printed:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed,
                cwd=self.directory.parent, env=self.environment, start_new_session=True,
            )

    def start_worker(self, *flags):
        """One worker, where the coordinator starts none (no --spawn): its failure is the run's, at once."""
        self.worker = self.join_worker("--rank", "0", *flags)

    def join_worker(self, *flags, within=lambda *command: command):
        """A worker beside others, where the coordinator starts none; `within` makes its command line another's."""

        def probe():
            self.poll()
            return self.url

        url = self.wait_for("the coordinator to listen", probe)
        command = within(str(self.programs / "worker"), "--coordinator", url, *flags)
        return self._launch(list(command), ".worker")

    def replace_coordinator(self):
        """Kills the coordinator alone and starts it again; returns the moment of the kill."""
        moment = time.time()
        self.process.kill()
        self.process.wait()
        self._start("--resume", self.directory)
        return moment

    # ---- what it says -----------------------------------------------------------------------------------------------

    def poll(self):
        """The ledger's new lines; they are kept in `happened`, too."""
        lines = self.events.new()
        self.happened += lines
        return lines

    @property
    def url(self):
        lines = [line for line in self.happened if line["kind"] == "coordinator"]
        return f"http://{lines[-1]['address']}" if lines else None

    def ask(self, *words):
        """One of the coordinator's commands about the running job."""
        command = [self.program, *map(str, words), "--coordinator", str(self.url)]
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=ASK_SECONDS, env=self.environment)
        except subprocess.TimeoutExpired:
            raise Trouble(f"`coordinator {words[0]}` has no answer after {ASK_SECONDS} s") from None

    def status(self):
        """None where nobody answers."""
        self.poll()
        if self.url is None:
            return None
        asked = self.ask("status", "--json")
        return json.loads(asked.stdout) if asked.returncode == 0 else None

    def audit(self):
        """Exit code and JSON."""
        command = [self.program, "audit", "--json", str(self.directory)]
        audited = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_SECONDS)
        return audited.returncode, audited.stdout or audited.stderr

    def metrics(self, kind):
        """All lines of metrics of one kind."""
        return [line for line in Lines(self.directory / "metrics.jsonl").new() if line["kind"] == kind]

    def report(self):
        """The ends of everything that was written down."""
        files = [self.directory.with_suffix(".printed"), self.directory / "events.jsonl"]
        files += [self.directory / "coordinator.log", *sorted((self.directory / "logs").glob("*.log"))]
        # Last what is most likely the reason.
        files.append(self.directory.with_suffix(".worker"))
        return "\n".join(f"---- {path}\n{tail(path)}" for path in files if path.is_file())

    # ---- waiting ----------------------------------------------------------------------------------------------------

    def wait_for(self, what, probe, every=STATUS_SECONDS, limit=WAIT_SECONDS):
        """What `probe` finds, asked again and again until it is something."""
        deadline = time.monotonic() + limit
        while True:
            # Asked before, so that the probe sees all that was written until the end.
            has_ended = self.process.poll() is not None
            found = probe()
            if found is not None:
                return found
            if has_ended:
                raise Trouble(f"the coordinator ended with {self.process.returncode} while waiting for {what}")
            if time.monotonic() > deadline:
                raise Trouble(f"waited {limit} s in vain for {what}")
            time.sleep(every)

    def wait_for_line(self, what, start, wanted):
        """The index in `happened` of the first line from index `start` on that `wanted` likes."""

        def probe():
            self.poll()
            found = (index for index in range(start, len(self.happened)) if wanted(self.happened[index]))
            return next(found, None)

        return self.wait_for(what, probe, WATCH_SECONDS)

    def wait_for_all(self, workers):
        """The status once all of so many workers train in one generation, which has done a step."""

        def probe():
            status = self.status()
            return status if status and self.are_all_training(status, workers) else None

        return self.wait_for("all workers to train", probe)

    def are_all_training(self, status, count):
        workers = status["workers"]
        at_work = [w for w in workers if w["rank"] is not None and w["phase"] in ("training", "waiting for data")]
        stepped = any(
            line["kind"] == "steps" and line["generation"] == status["generation"] for line in reversed(self.happened)
        )
        return status["phase"] == "training" and len(at_work) == len(workers) == count and stepped

    def to_the_end(self, meanwhile=lambda: END_SECONDS):
        """Waits until all is done; `meanwhile` is called again and again, and says how many seconds to sleep."""
        path, seen, moved = self.directory / "metrics.jsonl", -1, time.monotonic()
        while not self.is_over():
            size = path.stat().st_size if path.is_file() else 0
            if size != seen:
                seen, moved = size, time.monotonic()
            if time.monotonic() - moved > QUIET_SECONDS:
                raise Trouble(f"the run wrote no line of metrics for {QUIET_SECONDS} s")
            time.sleep(meanwhile())

    def is_over(self):
        """Whether the programs have ended, and well."""
        started = [("worker", self.worker), ("coordinator", self.process)]
        codes = [(name, process.poll()) for name, process in started if process]
        for name, code in codes:
            if code not in (None, 0):
                raise Trouble(f"the {name} ended with {code}")
        return all(code == 0 for _, code in codes)

    # ---- its processes ----------------------------------------------------------------------------------------------

    def processes(self):
        """Every living process of the run."""
        own = f"{MARK}={self.mark}".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                variables = path.read_bytes().split(b"\0")
            except OSError:
                continue
            # One that has ended and was not waited for has no environment.
            if own in variables:
                found.append(int(path.parent.name))
        return found

    def signal(self, process, number):
        """Sends a signal to a process of the run, if it lives."""
        if process not in self.processes():
            return False
        try:
            os.kill(process, number)
        except ProcessLookupError:
            return False
        return True

    def terminate(self):
        """Stops the run in order; returns the exit code."""
        self.process.terminate()
        try:
            return self.process.wait(timeout=WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            raise Trouble(f"the coordinator goes on {WAIT_SECONDS} s after SIGTERM") from None

    def kill_everything(self):
        """Again and again, for what was just being started."""
        for process in filter(None, (self.process, self.worker)):
            process.kill()
            process.wait()
        deadline = time.monotonic() + WAIT_SECONDS
        while left := self.processes():
            for process in left:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if time.monotonic() > deadline:
                print(f"processes {left} live {WAIT_SECONDS} s after SIGKILL: end them by hand", file=sys.stderr)
                return
            time.sleep(0.01)


def tail(path):
    """A file's last lines."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-TAIL_LINES:])


def end_in_order_when_terminated():
    """A signal to this program must not leave a run's processes behind."""

    def end(number, _frame):
        sys.exit(128 + number)

    for wish in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(wish, end)
