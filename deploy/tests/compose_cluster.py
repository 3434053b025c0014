"""The compose file's containers as an object: which they are, what they say, and waiting for it with a deadline."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from commands import run, uninterrupted
from recipe import SETTINGS, WORKERS, image, pictures

ROOT = Path(__file__).resolve().parents[2]
PROJECT = f"concentric-test-{os.getpid()}"


def compose_command():
    """`docker compose`, or its predecessor; nothing where there is neither."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else None


class Cluster:
    """The compose file's containers, with a folder of their own for runs; they are gone when it is left."""

    def __init__(self, compose, scratch, name, workers=WORKERS, settings=None):
        self.compose = [*compose, "-f", str(ROOT / "deploy/compose.yaml"), "-p", PROJECT]
        self.folder = scratch / name
        self.folder.mkdir()
        self.run_directory = self.folder / "run"
        self.environment = {**os.environ, **SETTINGS, **(settings or {}), "CONCENTRIC_RUNS": str(self.folder)}
        # Which workers there are is what the files say.
        self.environment.pop("COMPOSE_PROFILES", None)
        if os.getuid():
            # Who is not root has to be able to read what the run leaves.
            self.environment["CONCENTRIC_USER"] = f"{os.getuid()}:{os.getgid()}"
        self.workers = workers

    def __enter__(self):
        self.started = time.monotonic()
        try:
            self.up()
        except BaseException:
            self.take_down(after_failure=True)
            raise
        return self

    def __exit__(self, kind, *_):
        self.take_down(after_failure=kind is not None)

    def up(self, workers=None):
        """Also while it trains, with another number of workers then."""
        self.workers = workers or self.workers
        # Four is what the file says by itself.
        scale = [] if self.workers == WORKERS else ["--scale", f"worker={self.workers}"]
        run(*self.compose, "up", "-d", "--no-build", *scale, timeout=240, env=self.environment)

    def take_down(self, after_failure):
        with uninterrupted():
            try:
                if after_failure:
                    print(run(*self.compose, "logs", "--no-color", "--tail", "40", check=False, env=self.environment))
            finally:
                run(*self.compose, "down", "-v", "-t", "1", timeout=180, env=self.environment)

    # --- its containers -------------------------------------------------------------------------------------------

    def containers(self, service, *options):
        labels = {"project": PROJECT, "service": service}
        filters = [part for name, value in labels.items()
                   for part in ("--filter", f"label=com.docker.compose.{name}={value}")]
        return run("docker", "ps", "-q", *options, *filters).split()

    def coordinator(self):
        return self.containers("coordinator", "-a")[0]

    def worker(self, rank):
        """The container of the worker that has this rank now: the one at the address that the coordinator names."""
        status = self.wait(f"rank {rank} trains", lambda status: rank in {worker["rank"] for worker in status["workers"]})
        host = next(worker["host"] for worker in status["workers"] if worker["rank"] == rank)
        found = [container for container in self.containers("worker")
                 if self.endpoint(container, "collectives").get("IPAddress") == host]
        if len(found) != 1:
            raise SystemExit(f"rank {rank} is at {host}, which is the address of {len(found)} containers in place of one")
        return found[0]

    def network(self, name):
        return f"{PROJECT}_{name}"

    def endpoint(self, container, network):
        """What Docker says of a container's place in a network; nothing where it has none."""
        networks = json.loads(run("docker", "inspect", "-f", "{{json .NetworkSettings.Networks}}", container))
        return networks.get(self.network(network)) or {}

    def connect(self, container, network, aliases, seconds=60):
        """Puts a container back into a network. Some engines refuse while the container is being started again."""
        names = [part for alias in aliases for part in ("--alias", alias)]
        deadline = time.monotonic() + seconds
        while True:
            said = run("docker", "network", "connect", *names, self.network(network), container, check=False)
            if self.endpoint(container, network).get("IPAddress"):
                return
            if time.monotonic() > deadline:
                raise SystemExit(f"the container is not back in {network} within {seconds} s: {said}")
            time.sleep(0.3)

    # --- what it does ---------------------------------------------------------------------------------------------

    def status(self):
        """What the coordinator says of itself, or nothing where it does not answer."""
        command = ["docker", "exec", self.coordinator(), "coordinator", "status", "--json"]
        try:
            done = subprocess.run(command, timeout=30, capture_output=True, text=True)
        except subprocess.TimeoutExpired:
            return None
        return json.loads(done.stdout) if done.returncode == 0 else None

    def wait(self, what, holds, seconds=120):
        """Until `holds` of the status; it is an error if the run ends before."""
        deadline = time.monotonic() + seconds
        while True:
            status = self.status()
            if status and holds(status):
                return status
            if run("docker", "inspect", "-f", "{{.State.Status}}", self.coordinator()).strip() == "exited":
                raise SystemExit(f"the run ended while waiting until {what}; if it is too short, recipe.py says how long it lasts")
            if time.monotonic() > deadline:
                raise SystemExit(f"not within {seconds} s: {what}; status {json.dumps(status)}")
            time.sleep(0.3)

    def train_on(self, steps=3):
        """Until so many steps more are done."""
        reached = self.wait("it answers", lambda status: True)["step"]
        return self.wait(f"step {reached + steps} is done", lambda status: status["step"] >= reached + steps)

    def all_train(self, after=None):
        """Until all of its workers train, in a generation after that of an earlier status, if one is given."""
        def holds(status):
            training = [worker for worker in status["workers"] if worker["rank"] is not None]
            is_new = after is None or status["generation"] > after["generation"]
            return is_new and status["phase"] == "training" and len(training) == self.workers
        return self.wait(f"{self.workers} workers train", holds)

    def finish(self, seconds=400, expected=None):
        """Until the run's end, which is a good one; the run directory."""
        # Without asking again and again, which takes a good part of two cores.
        try:
            code = run("docker", "wait", self.coordinator(), timeout=seconds).strip()
        except subprocess.TimeoutExpired:
            raise SystemExit(f"the run does not end within {seconds} s; status {json.dumps(self.status())}") from None
        if code != "0":
            raise SystemExit(f"the coordinator ended with {code}")
        for picture in expected or pictures():
            path = self.run_directory / "pictures" / picture
            if not path.is_file() or not path.stat().st_size:
                raise SystemExit(f"{picture} did not arrive on the host")
        print(run("docker", "run", "--rm", "--network", "none", "-v", f"{self.folder}:/runs:ro",
                  image("coordinator"), "audit", "/runs/run").strip())
        return self.run_directory
