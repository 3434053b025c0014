"""The images: built from the sources as a user builds them, or from programs that this machine has built already."""

import os
import re
import shutil
import time

from commands import run, say
from compose_cluster import ROOT
from recipe import image

DOCKERFILE = ROOT / "deploy/Dockerfile"
PROGRAMS = ("coordinator", "worker")
# What these stages of the Dockerfile leave is handed in; what comes after them is built as it stands there.
HANDED_IN = {
    "libtorch": "COPY libtorch /opt/libtorch",
    "build-coordinator": "COPY coordinator /opt/bin/coordinator",
    "build-worker": "COPY worker /opt/bin/worker",
}
KEPT = ("runtime", "coordinator", "worker")
# The coordinator's image has no libtorch.
LARGEST_COORDINATOR = 120e6


def from_sources(arguments):
    """Both images as deploy/Dockerfile makes them, with arguments of its own."""
    options = [part for argument in arguments for part in ("--build-arg", argument)]
    build(DOCKERFILE, ROOT, options)


def from_programs(programs, scratch):
    """Both images around the programs in a folder, which only lack their debug information then."""
    context = scratch / "context"
    context.mkdir()
    for program in PROGRAMS:
        run("strip", "--strip-debug", "-o", str(context / program), str(programs / program))
    run("deploy/runtime-libraries.sh", "cpu", str(ROOT / ".libtorch"), str(context / "libtorch"), cwd=ROOT, timeout=300)
    shutil.copy(ROOT / "LICENSE", context)
    shutil.copytree(ROOT / "deploy", context / "deploy", ignore=shutil.ignore_patterns("tests", "kubernetes"))
    dockerfile = context / "Dockerfile"
    dockerfile.write_text(with_what_is_handed_in(DOCKERFILE.read_text()))
    build(dockerfile, context, [])
    shutil.rmtree(context)
    check_that_they_start()


def with_what_is_handed_in(text):
    """The Dockerfile without the stages that compile."""
    beginning, *stages = re.split(r"(?m)^(?=FROM )", text)
    by_name = {re.match(r"FROM \S+ AS (\S+)", stage)[1]: stage for stage in stages}
    handed_in = [f"FROM scratch AS {name}\n{copy}\n\n" for name, copy in HANDED_IN.items()]
    lacking = [name for name in (*HANDED_IN, *KEPT) if name not in by_name]
    if lacking:
        raise SystemExit(f"deploy/Dockerfile has no stage {', '.join(lacking)} any more, for which images.py has another")
    return "".join([beginning, *handed_in, *(by_name[name] for name in KEPT)])


def build(dockerfile, context, options):
    environment = {**os.environ, "DOCKER_BUILDKIT": os.environ.get("DOCKER_BUILDKIT", "0")}
    for target in PROGRAMS:
        started = time.monotonic()
        run("docker", "build", "-f", str(dockerfile), "--target", target, *options, "-t", image(target), str(context),
            timeout=1500, env=environment)
        size = int(run("docker", "image", "inspect", "-f", "{{.Size}}", image(target)))
        say(f"image {target}: {size / 1e6:.0f} MB, {time.monotonic() - started:.0f} s")
        if target == "coordinator" and size > LARGEST_COORDINATOR:
            raise SystemExit(f"the coordinator's image is larger than {LARGEST_COORDINATOR / 1e6:.0f} MB")


def check_that_they_start():
    """Programs of another Debian may want a newer C library than the images have."""
    for program in PROGRAMS:
        run("docker", "run", "--rm", "--network", "none", "--entrypoint", program, image(program), "--version")
