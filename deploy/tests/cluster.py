#!/usr/bin/env python3
"""Proves the images and deploy/compose.yaml: a cluster of containers ends with the bytes of one worker without any.

    python3 deploy/tests/cluster.py                build, then train undisturbed, with more workers, and under faults
    python3 deploy/tests/cluster.py --no-build     with the images as they are
    python3 deploy/tests/cluster.py --throughput 4 instead: how fast four containers and four processes train, by turns

Where there is no Docker it says so and passes. Every wait has a deadline, and nothing it started is left behind.
"""

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = f"concentric-test-{os.getpid()}"
ENDINGS = (signal.SIGINT, signal.SIGTERM)
WORKERS = 4
MORE_WORKERS = 6
# For a figure of speed: longer epochs, of which the first does not count.
THROUGHPUT = {"CONCENTRIC_TRAIN_SAMPLES": "3000", "CONCENTRIC_EPOCHS": "4"}
ROUNDS = 3
SETTINGS = {
    "CONCENTRIC_TRAIN_SAMPLES": "800",
    "CONCENTRIC_TEST_SAMPLES": "200",
    "CONCENTRIC_BATCH_SIZE": "20",
    "CONCENTRIC_EPOCHS": "6",
    "CONCENTRIC_LOGICAL_SHARDS": "8",
    "CONCENTRIC_THREADS": "1",
    "CONCENTRIC_WARMUP_STEPS": "40",
    "CONCENTRIC_LR": "0.002",
    "CONCENTRIC_LR_SCHEDULE": "cosine",
}
PICTURES = ["epoch=5.png", "curves.png", "confusion.png", "features.gif"]


def run(*command, timeout=120, check=True, **options):
    """A command with a deadline; its output where it succeeds, all it said where it does not."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               start_new_session=True, **options)
    try:
        said, _ = process.communicate(timeout=timeout)
    except BaseException:
        end(process)
        raise
    if check and process.returncode:
        raise SystemExit(f"{' '.join(command)} failed ({process.returncode}):\n{said[-4000:]}")
    return said


def end(process, patience=20):
    """Ends a command and what it has started: in order if it can, or else at once."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)


@contextlib.contextmanager
def uninterrupted():
    """Whoever ends the program waits until this is done."""
    before = {number: signal.signal(number, lambda *_: None) for number in ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def compose_command():
    """`docker compose`, or its predecessor."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else None


class Cluster:
    """The compose file's containers, with a folder of their own for runs."""

    def __init__(self, compose, scratch, name, workers=WORKERS, settings=None):
        self.compose = [*compose, "-f", str(ROOT / "deploy/compose.yaml"), "-p", PROJECT]
        self.folder = scratch / name
        self.folder.mkdir()
        self.environment = {**os.environ, **SETTINGS, **(settings or {}), "CONCENTRIC_RUNS": str(self.folder)}
        # Which workers there are is what the files say.
        self.environment.pop("COMPOSE_PROFILES", None)
        self.workers = workers
        # Four is what the file says by itself.
        self.scale = [] if workers == WORKERS else ["--scale", f"worker={workers}"]

    def __enter__(self):
        self.started = time.monotonic()
        try:
            run(*self.compose, "up", "-d", "--no-build", *self.scale, timeout=240, env=self.environment)
        except BaseException:
            self.take_down(after_failure=True)
            raise
        return self

    def __exit__(self, kind, *_):
        self.take_down(after_failure=kind is not None)

    def take_down(self, after_failure):
        with uninterrupted():
            try:
                if after_failure:
                    print(run(*self.compose, "logs", "--no-color", "--tail", "40", check=False, env=self.environment))
            finally:
                run(*self.compose, "down", "-v", "-t", "1", timeout=180, env=self.environment)

    def container(self, service, number=1):
        labels = {"project": PROJECT, "service": service, "container-number": number}
        filters = [part for name, value in labels.items()
                   for part in ("--filter", f"label=com.docker.compose.{name}={value}")]
        return run("docker", "ps", "-aq", *filters).split()[0]

    def inspect(self, service, what):
        return run("docker", "inspect", "-f", f"{{{{.{what}}}}}", self.container(service)).strip()

    def status(self):
        """What the coordinator says of itself, or nothing where it does not answer."""
        command = ["docker", "exec", self.container("coordinator"), "coordinator", "status", "--json"]
        done = subprocess.run(command, timeout=30, capture_output=True, text=True)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def wait(self, what, holds, seconds=120):
        """Until `holds` of the status; it is an error if the run ends before."""
        deadline = time.monotonic() + seconds
        while True:
            status = self.status()
            if status and holds(status):
                return status
            if self.inspect("coordinator", "State.Status") == "exited":
                raise SystemExit(f"the run ended while waiting until {what}")
            if time.monotonic() > deadline:
                raise SystemExit(f"not within {seconds} s: {what}; status {json.dumps(status)}")
            time.sleep(0.3)

    def train_on(self, steps=3):
        """Until so many steps more are done."""
        reached = self.wait("it answers", lambda status: True)["step"]
        self.wait(f"step {reached + steps} is done", lambda status: status["step"] >= reached + steps)

    def all_train(self):
        def holds(status):
            training = [worker for worker in status["workers"] if worker["rank"] is not None]
            return status["phase"] == "training" and len(training) == self.workers
        return self.wait(f"{self.workers} workers train", holds)

    def check_locked(self):
        """TLS and token, and no worker has the key that makes certificates."""
        if "INSECURE" in run("docker", "logs", self.container("coordinator")):
            raise SystemExit("the coordinator stands open")
        listed = run("docker", "exec", self.container("worker"), "ls", "-A", "/access").split()
        if sorted(listed) != ["ca.pem", "join-token", "worker.key", "worker.pem"]:
            raise SystemExit(f"a worker has {listed}")
        plain = ["env", "-u", "CONCENTRIC_TLS_CA", "-u", "CONCENTRIC_TLS_CERT", "-u", "CONCENTRIC_TLS_KEY"]
        address = "http://127.0.0.1:29400"
        asked = subprocess.run(["docker", "exec", self.container("coordinator"), *plain, "coordinator", "status",
                                "--coordinator", address], timeout=30, capture_output=True, text=True)
        if asked.returncode == 0:
            raise SystemExit(f"it answers without TLS: {asked.stdout}")

    def finish(self, seconds=300, pictures=PICTURES):
        """Until the run's end, which is a good one; the SHA-256 of the last checkpoint."""
        # Without asking again and again, which takes a good part of two cores.
        try:
            code = run("docker", "wait", self.container("coordinator"), timeout=seconds).strip()
        except subprocess.TimeoutExpired:
            raise SystemExit(f"the run does not end within {seconds} s; status {json.dumps(self.status())}") from None
        if code != "0":
            raise SystemExit(f"the coordinator ended with {code}")
        for picture in pictures:
            path = self.folder / "run/pictures" / picture
            if not path.is_file() or not path.stat().st_size:
                raise SystemExit(f"{picture} did not arrive on the host")
        print(run("docker", "run", "--rm", "--network", "none", "-v", f"{self.folder}:/runs:ro",
                  "concentric-coordinator", "audit", "/runs/run").strip())
        return checkpoint(self.folder / "run")


def checkpoint(directory):
    return hashlib.sha256((directory / "checkpoints/last.safetensors").read_bytes()).hexdigest()


def build():
    environment = {**os.environ, "DOCKER_BUILDKIT": os.environ.get("DOCKER_BUILDKIT", "0")}
    for target in ("coordinator", "worker"):
        started = time.monotonic()
        run("docker", "build", "-f", "deploy/Dockerfile", "--target", target, "-t", f"concentric-{target}", ".",
            timeout=1500, cwd=ROOT, env=environment)
        size = int(run("docker", "image", "inspect", "-f", "{{.Size}}", f"concentric-{target}"))
        say(f"image {target}: {size / 1e6:.0f} MB, {time.monotonic() - started:.0f} s")
        if target == "coordinator" and size > 120e6:
            raise SystemExit("the coordinator's image is larger than 120 MB")


def without_containers(scratch, workers, name="processes", settings=None):
    """The same programs and settings as processes of this machine; the checkpoint's SHA-256."""
    programs = scratch / "programs"
    if not programs.exists():
        programs.mkdir()
        for image, path in [("coordinator", "/usr/local/bin/coordinator"), ("worker", "/usr/local/bin/worker"),
                            ("worker", "/opt/libtorch")]:
            made = run("docker", "create", f"concentric-{image}").strip()
            run("docker", "cp", f"{made}:{path}", str(programs))
            run("docker", "rm", "-v", made)
    directory = scratch / f"{name}-{workers}"
    environment = {**os.environ, **SETTINGS, **(settings or {}),
                   "LD_LIBRARY_PATH": str(programs / "libtorch/torch/lib")}
    run(str(programs / "coordinator"), "--workers", str(workers), "--spawn", "--listen", "127.0.0.1:0", "--run-dir",
        str(directory), "--data-dir", str(scratch / "data"), timeout=300, env=environment)
    return checkpoint(directory), speed(directory)


def speed(directory):
    """Images a second of the epochs after the first."""
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    epochs = [line["images_per_second"] for line in lines if line["kind"] == "epoch"][1:]
    return sum(epochs) / len(epochs)


def undisturbed(cluster):
    first = cluster.wait("the first step is done", lambda status: status["step"] >= 1)
    say(f"from `up` to step {first['step']}: {time.monotonic() - cluster.started:.1f} s")
    cluster.check_locked()
    return cluster.finish()


def scaled(cluster):
    """All of them train, not only those that the run waits for."""
    status = cluster.all_train()
    ranks = sorted(worker["rank"] for worker in status["workers"])
    if ranks != list(range(MORE_WORKERS)):
        raise SystemExit(f"ranks {ranks} in place of {MORE_WORKERS} different ones")
    say(f"{MORE_WORKERS} workers train from step {status['step']} on")
    return cluster.finish()


def disturbed(cluster):
    """Every worker killed, one paused, one cut off, the coordinator killed and restarted."""
    cluster.all_train()
    for number in range(1, WORKERS + 1):
        container = cluster.container("worker", number)
        cluster.train_on()
        if number % 2:
            # By a crash, which the restart policy answers.
            run("docker", "exec", container, "sh", "-c", "kill -KILL $(pidof worker)")
        else:
            run("docker", "kill", container)
            cluster.train_on()
            run("docker", "start", container)
        cluster.all_train()
        say(f"killed worker {number}: it is back")

    paused = cluster.container("worker", 2)
    run("docker", "pause", paused)
    cluster.wait("the paused worker is evicted", lambda status: len(status["workers"]) == WORKERS - 1)
    cluster.train_on()
    run("docker", "unpause", paused)
    cluster.all_train()
    say("paused worker 2 and woke it: it is back")

    cut = cluster.container("worker", 3)
    network = f"{PROJECT}_control"
    run("docker", "network", "disconnect", network, cut)
    cluster.wait("the cut-off worker is evicted", lambda status: len(status["workers"]) == WORKERS - 1)
    cluster.train_on()
    run("docker", "network", "connect", network, cut)
    cluster.all_train()
    say("cut worker 3 off and connected it: it is back")

    for how in (["kill"], ["restart"]):
        cluster.train_on()
        coordinator = cluster.container("coordinator")
        run("docker", *how, coordinator)
        if how == ["kill"]:
            run("docker", "start", coordinator)
        cluster.all_train()
        say(f"docker {how[0]} of the coordinator: the run goes on")
    return cluster.finish()


def throughput(compose, scratch, workers):
    """Images a second of so many containers and of as many processes, by turns; prints their ratio."""
    settings = {**THROUGHPUT, "CONCENTRIC_WORKERS": str(workers)}
    ratios = []
    for number in range(1, ROUNDS + 1):
        _, processes = without_containers(scratch, workers, f"throughput-{number}", settings)
        with Cluster(compose, scratch, f"throughput-containers-{number}", workers, settings) as cluster:
            cluster.finish(pictures=["curves.png"])
            containers = speed(cluster.folder / "run")
        ratios.append(containers / processes)
        say(f"images/s, round {number} of {ROUNDS}: {containers:.1f} in containers, {processes:.1f} as processes")
    ratios.sort()
    say(f"containers against processes: {ratios[ROUNDS // 2]:.3f} (from {ratios[0]:.3f} to {ratios[-1]:.3f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-build", action="store_true", help="use the images that are there")
    parser.add_argument("--throughput", type=int, metavar="N", help="measure N containers against N processes instead")
    options = parser.parse_args()
    if options.throughput is not None and options.throughput < 1:
        parser.error(f"--throughput {options.throughput}: at least one worker trains")
    # Whoever ends it early finds nothing of it left behind either.
    for number in ENDINGS:
        signal.signal(number, lambda *_: sys.exit("interrupted"))
    compose = compose_command()
    if not compose or subprocess.run(["docker", "info"], capture_output=True).returncode:
        print("skipped: no Docker engine with Compose is running here")
        return
    if not options.no_build:
        build()
    scratch = Path(tempfile.mkdtemp(prefix="concentric-cluster-"))
    try:
        if options.throughput is not None:
            throughput(compose, scratch, options.throughput)
            return
        expected, _ = without_containers(scratch, 1)
        again, _ = without_containers(scratch, WORKERS)
        checks = [("four processes", again)]
        with Cluster(compose, scratch, "undisturbed") as cluster:
            checks.append(("four containers", undisturbed(cluster)))
        with Cluster(compose, scratch, "scaled", MORE_WORKERS) as cluster:
            checks.append((f"{MORE_WORKERS} containers", scaled(cluster)))
        with Cluster(compose, scratch, "disturbed") as cluster:
            checks.append(("four containers under faults", disturbed(cluster)))
    finally:
        # Files of the containers belong to another user.
        shutil.rmtree(scratch, ignore_errors=True)
    failed = [name for name, found in checks if found != expected]
    for name, found in checks:
        print(f"{'FAILED' if found != expected else 'ok'}  {name}: {found}")
    print(f"cluster: {len(checks) - len(failed)} passed, {len(failed)} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
