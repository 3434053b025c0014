"""Commands with a deadline, of which nothing is left behind when the program is ended early."""

import contextlib
import os
import signal
import subprocess
import sys
import time

ENDINGS = (signal.SIGINT, signal.SIGTERM)


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


def end_in_order():
    """From now on whoever ends the program early has it tidy up first."""
    for number in ENDINGS:
        signal.signal(number, lambda *_: sys.exit("interrupted"))


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
