"""What computes: this machine's processor, and its GPUs as the programs see them."""

import ctypes
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from programs import environment

# A worker opens CUDA's libraries before it refuses a flag.
ANSWER_SECONDS = 120
# Nobody listens there: a worker whose flags are right gets as far as this.
NOBODY = "http://127.0.0.1:1"
UNREACHABLE = 1


@dataclass(frozen=True)
class Device:
    """Where workers compute: their --device, and the model, which tells one machine's figures from another's."""

    flag: str
    model: str

    def __str__(self):
        return f"{self.flag} ({self.model})"


def choose(programs, flag=None):
    """The device of that flag; without one the first GPU where workers see it, else the CPU. Says which."""
    refused = refusal(programs, "--device", flag or "cuda:0")
    if flag is None:
        flag = "cpu" if refused else "cuda:0"
        why = f", as the worker says: {refused}" if refused else ""
        print(f"device: {flag}{why}", file=sys.stderr, flush=True)
    elif refused:
        sys.exit(f"nothing was measured, as the worker says: {refused}")
    return Device(flag, processor() if flag == "cpu" else gpu(flag) or f"a GPU that the driver does not name, {flag}")


def refusal(programs, *flags):
    """Why a worker does not start with these flags, in its words; nothing where it would."""
    command = [str(programs / "worker"), "--rank", "0", "--connect-timeout", "0", "--coordinator", NOBODY, *flags]
    asked = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, env=environment("auto"))
    if asked.returncode == UNREACHABLE:
        return None
    return asked.stderr.strip().removeprefix("worker: ") or f"exit code {asked.returncode}"


def gpu(flag):
    """The model of the GPU `cuda:I`, as its driver names it; nothing where there is none."""
    try:
        # The driver itself: nvidia-smi need not be there, and numbers GPUs without regard to CUDA_VISIBLE_DEVICES.
        driver = ctypes.CDLL("libcuda.so.1")
        device, name = ctypes.c_int(), ctypes.create_string_buffer(128)
        number = int(flag.removeprefix("cuda:"))
        told = (
            driver.cuInit(0) == 0
            and driver.cuDeviceGet(ctypes.byref(device), number) == 0
            and driver.cuDeviceGetName(name, len(name), device) == 0
        )
    except (OSError, AttributeError, ValueError):
        return None
    return name.value.decode(errors="replace") if told else None


def driver():
    """The version of NVIDIA's driver, in words that follow a GPU's model; empty where the system does not tell."""
    try:
        return f", driver {Path('/sys/module/nvidia/version').read_text().strip()}"
    except OSError:
        return ""


def processor():
    """The processor's model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def machine():
    """What surrounds the device."""
    return f"{len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.release()}"
