#!/usr/bin/env python3
"""Proves the images and deploy/compose.yaml: a cluster of containers ends with the bytes of one worker without any.

    python3 deploy/tests/cluster.py                           build, then train undisturbed and scaled, and under faults
    python3 deploy/tests/cluster.py --build-arg PROFILE=dev   build with an argument of deploy/Dockerfile
    python3 deploy/tests/cluster.py --programs target/debug   images around programs that are built here already
    python3 deploy/tests/cluster.py --no-build                with the images as they are
    python3 deploy/tests/cluster.py --throughput 4            instead: how fast four containers and four processes train

With CONCENTRIC_MNIST_DIR it must train on MNIST. Where there is no Docker it says so and passes. Every wait has a
deadline, and nothing it started is left behind.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import images
import processes
from commands import end_in_order, run, say
from compose_cluster import ROOT, Cluster, compose_command
from faults import disturb
from recipe import SETTINGS, WORKERS, last_long_enough, results, speed

MORE_WORKERS = 6
# For a figure of speed: longer epochs, of which the first does not count.
THROUGHPUT = {"CONCENTRIC_TRAIN_SAMPLES": "3000", "CONCENTRIC_EPOCHS": "4"}
ROUNDS = 3


def check_that_all_are_built(compose):
    """Compose v1 looks in a registry for the image of a service that does not build it, before another one does."""
    listed = run(*compose, "-f", str(ROOT / "deploy/compose.yaml"), "config", cwd=ROOT).split("\nservices:\n")[-1]
    services = re.split(r"(?m)^  (?=\S)", re.split(r"(?m)^(?=\S)", listed)[0])
    lacking = [service.split(":")[0] for service in services if "concentric-" in service and "\n    build:" not in service]
    if lacking or len(services) < 4:
        raise SystemExit(f"services that do not build their image: {lacking}, of {len(services) - 1}")


def prove(compose, scratch):
    """Whether all runs leave the same."""
    last_long_enough(speed(processes.train(scratch, WORKERS, "probe", {"CONCENTRIC_EPOCHS": "2"})))
    expected = results(processes.train(scratch, 1))
    say(f"trains {SETTINGS['CONCENTRIC_EPOCHS']} epochs on {expected.data}")
    checks = []
    for name, course in [("scaled", scaled), ("disturbed", disturb)]:
        with Cluster(compose, scratch, name) as cluster:
            course(cluster)
            checks.append((f"{WORKERS} containers, {name}", results(cluster.finish())))
    failed = [name for name, found in checks if found != expected]
    for name, found in checks:
        print(f"{'FAILED' if name in failed else 'ok'}  {name}: {found.checkpoint}, on {found.data}")
    print(f"cluster: {len(checks) - len(failed)} passed, {len(failed)} failed")
    return not failed


def scaled(cluster):
    """Undisturbed but that there are more workers in the end than in the beginning."""
    first = cluster.wait("the first step is done", lambda status: status["step"] >= 1)
    say(f"from `up` to step {first['step']}: {time.monotonic() - cluster.started:.1f} s")
    check_locked(cluster)
    before = cluster.all_train()
    cluster.up(MORE_WORKERS)
    status = cluster.all_train(after=before)
    ranks = sorted(worker["rank"] for worker in status["workers"])
    if ranks != list(range(MORE_WORKERS)):
        raise SystemExit(f"ranks {ranks} in place of {MORE_WORKERS} different ones")
    say(f"{MORE_WORKERS} workers train from step {status['step']} on")


def check_locked(cluster):
    """TLS and token, and no worker has the key that makes certificates."""
    coordinator = cluster.coordinator()
    if "INSECURE" in run("docker", "logs", coordinator):
        raise SystemExit("the coordinator stands open")
    listed = run("docker", "exec", cluster.worker(0), "ls", "-A", "/access").split()
    if sorted(listed) != ["ca.pem", "join-token", "worker.key", "worker.pem"]:
        raise SystemExit(f"a worker has {listed}")
    plain = ["env", "-u", "CONCENTRIC_TLS_CA", "-u", "CONCENTRIC_TLS_CERT", "-u", "CONCENTRIC_TLS_KEY"]
    asked = subprocess.run(["docker", "exec", coordinator, *plain, "coordinator", "status", "--coordinator",
                            "http://127.0.0.1:29400"], timeout=30, capture_output=True, text=True)
    if asked.returncode == 0:
        raise SystemExit(f"it answers without TLS: {asked.stdout}")


def throughput(compose, scratch, workers):
    """Images a second of so many containers and of as many processes, by turns; prints their ratio."""
    settings = {**THROUGHPUT, "CONCENTRIC_WORKERS": str(workers)}
    ratios = []
    for number in range(1, ROUNDS + 1):
        outside = speed(processes.train(scratch, workers, f"throughput-{number}", settings))
        with Cluster(compose, scratch, f"throughput-containers-{number}", workers, settings) as cluster:
            inside = speed(cluster.finish(expected=["curves.png"]))
        ratios.append(inside / outside)
        say(f"images/s, round {number} of {ROUNDS}: {inside:.1f} in containers, {outside:.1f} as processes")
    ratios.sort()
    say(f"containers against processes: {ratios[ROUNDS // 2]:.3f} (from {ratios[0]:.3f} to {ratios[-1]:.3f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-build", action="store_true", help="use the images that are there")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE",
                        help="hand this to `docker build`; may be given again")
    parser.add_argument("--programs", type=Path, metavar="FOLDER",
                        help="put the programs in this folder into the images, in place of building them there")
    parser.add_argument("--throughput", type=int, metavar="N", help="measure N containers against N processes instead")
    options = parser.parse_args()
    if options.throughput is not None and options.throughput < 1:
        parser.error(f"--throughput {options.throughput}: at least one worker trains")
    if options.build_arg and (options.no_build or options.programs):
        parser.error("--build-arg is for building, which --no-build and --programs leave out")
    if options.no_build and options.programs:
        parser.error("--programs makes new images, --no-build keeps those that are there")
    end_in_order()
    compose = compose_command()
    if not compose or subprocess.run(["docker", "info"], capture_output=True).returncode:
        print("skipped: no Docker engine with Compose is running here")
        return
    check_that_all_are_built(compose)
    scratch = Path(tempfile.mkdtemp(prefix="concentric-cluster-"))
    try:
        if options.programs:
            images.from_programs(options.programs, scratch)
        elif not options.no_build:
            images.from_sources(options.build_arg)
        if options.throughput is not None:
            throughput(compose, scratch, options.throughput)
        elif not prove(compose, scratch):
            sys.exit(1)
    finally:
        # Files of the containers belong to another user.
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
