"""The programs of the images, with the same settings, as processes of this machine."""

import os

from commands import run
from recipe import SETTINGS, image


def train(scratch, workers, name="processes", settings=None):
    """Trains to the end; the run directory."""
    programs = copied_programs(scratch)
    directory = scratch / f"{name}-{workers}"
    environment = {**os.environ, **SETTINGS, **(settings or {}),
                   "LD_LIBRARY_PATH": str(programs / "libtorch/torch/lib")}
    run(str(programs / "coordinator"), "--workers", str(workers), "--spawn", "--listen", "127.0.0.1:0", "--run-dir",
        str(directory), "--data-dir", str(scratch / "data"), timeout=400, env=environment)
    return directory


def copied_programs(scratch):
    """A folder with what the images hold, made once."""
    programs = scratch / "programs"
    if not programs.exists():
        programs.mkdir()
        for program, path in [("coordinator", "/usr/local/bin/coordinator"), ("worker", "/usr/local/bin/worker"),
                              ("worker", "/opt/libtorch")]:
            made = run("docker", "create", image(program)).strip()
            run("docker", "cp", f"{made}:{path}", str(programs))
            run("docker", "rm", "-v", made)
    return programs
