"""Seconds per MNIST epoch on one GPU, Concentric and PyTorch side by side: the tables of docs/performance.md.

    make bench-gpu
    python3 worker/benches/gpu.py --python python3 --only concentric --precisions tf32
    python3 worker/benches/gpu.py --device cpu --train-samples 1000 --epochs 1     tries the script where no GPU is

Batch 100, training only, median of the counted epochs; each measurement is a process of its own, after an epoch that is
not counted. What is measured is kept in --directory, so a command that was cut off goes on when given again, and several
that each measure a part print one table; --again measures anew. The PyTorch side is worker/benches/pytorch/epochs.py;
--python names an interpreter that has torch. Nothing is downloaded. Exit code 2: there is no GPU.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

# The modules beside this one leave no compiled copy in the source tree.
sys.dont_write_bytecode = True
import hardware  # noqa: E402
import programs  # noqa: E402
from pages import cell, table  # noqa: E402
from watched_run import Run, Trouble, end_in_order_when_terminated  # noqa: E402

HERE = Path(__file__).resolve().parent
BATCH_SIZE = 100
NO_GPU = 2
PYTORCH_SECONDS, JOIN_SECONDS, ANSWER_SECONDS = 1800, 60, 120
PRECISIONS = ["f32", "tf32", "bf16"]
# The step of batch 100: products forward and backward, and bytes that float32 tensors cross the memory, about.
STEP_FLOP, STEP_BYTES = 48.4e9, 735e6
# By a GPU's name, dense peaks of its data sheet (f32 without tensor cores, tf32, bf16), FLOP/s, and bytes/s of its memory.
PEAKS = {
    "NVIDIA H200": {"f32": 67e12, "tf32": 494e12, "bf16": 989e12, "memory": 4.8e12},
    "NVIDIA H100 80GB HBM3": {"f32": 67e12, "tf32": 494e12, "bf16": 989e12, "memory": 3.35e12},
    "NVIDIA H100 PCIe": {"f32": 51e12, "tf32": 378e12, "bf16": 756e12, "memory": 2.0e12},
    "NVIDIA A100-SXM4-80GB": {"f32": 19.5e12, "tf32": 156e12, "bf16": 312e12, "memory": 2.039e12},
}


@dataclass(frozen=True)
class Candidate:
    """One way to train an epoch."""

    name: str
    engine: str  # concentric | pytorch
    flags: tuple = ()  # of epochs.py, or of the coordinator
    graph: str = ""  # of the worker: on | off


CANDIDATES = [
    Candidate("PyTorch, DataLoader, eager", "pytorch", ("--variant", "loader")),
    Candidate("PyTorch, data on the GPU, eager", "pytorch", ("--variant", "resident")),
    Candidate("PyTorch, data on the GPU, compiled with CUDA graphs", "pytorch", ("--variant", "compiled")),
    Candidate("the same, channels-last", "pytorch", ("--variant", "compiled", "--channels-last")),
    *(
        Candidate(f"Concentric, {how}, {shards} logical shard{'s' * (shards > 1)}", "concentric",
                  ("--logical-shards", str(shards)), graph)
        for graph, how in (("off", "eager"), ("on", "CUDA graph"))
        for shards in (1, 4)
    ),
]
FIRST, SECOND, *THIRD = (candidate.name for candidate in CANDIDATES if candidate.engine == "pytorch")


# ---- one measurement ------------------------------------------------------------------------------------------------


def run_pytorch(candidate, precision, arguments):
    command = [
        arguments.python, str(HERE / "pytorch/epochs.py"), "--data-dir", str(arguments.data_dir),
        "--device", arguments.device, "--precision", precision, "--batch-size", str(BATCH_SIZE),
        "--epochs", str(arguments.epochs), "--train-samples", str(arguments.train_samples), *candidate.flags,
    ]
    if candidate.name == SECOND and arguments.device != "cpu":
        command.append("--profile")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PYTORCH_SECONDS)
    except subprocess.TimeoutExpired:
        raise Trouble(f"{shlex.join(command)} takes longer than {PYTORCH_SECONDS} s") from None
    if done.returncode != 0:
        raise Trouble(f"{shlex.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def run_concentric(candidate, precision, arguments):
    flags = [
        "--workers", 1, "--dataset", arguments.data_dir, "--train-samples", arguments.train_samples, "--test-samples", 0,
        "--batch-size", BATCH_SIZE, "--epochs", 1 + arguments.epochs, "--precision", precision,
        "--picture-every", 1000, "--checkpoint-every", 1000000, "--log-every", 100, *candidate.flags,
    ]
    worker = ["--device", arguments.device, "--connect-timeout", str(JOIN_SECONDS)]
    if arguments.device == "cpu":
        worker += ["--engine", "tensors"]
    else:
        worker += ["--cuda-graph", candidate.graph]
    with tempfile.TemporaryDirectory(prefix="concentric-bench-") as scratch:
        with Run(arguments.programs, Path(scratch) / "run", flags, arguments.device) as run:
            try:
                run.start_worker(*worker)
                run.to_the_end()
            except Trouble as trouble:
                raise Trouble(f"{trouble}\n{run.report()}") from None
            epochs = run.metrics("epoch")
    return {
        "seconds": [arguments.train_samples / line["images_per_second"] for line in epochs[1:]],
        "last_loss": epochs[-1]["loss"],
    }


class Measured:
    """What was measured so far, in a file: by candidate and precision."""

    def __init__(self, arguments):
        self.path = arguments.directory / "measured.json"
        self.identity = {"hardware": arguments.model + arguments.driver, "samples": arguments.train_samples}
        self.results = {}
        if self.path.is_file() and not arguments.again:
            stored = json.loads(self.path.read_text())
            if stored["identity"] != self.identity:
                sys.exit(f"{self.path} was measured on {stored['identity']}, not {self.identity}: give --again, or "
                         "another --directory")
            self.results = stored["results"]

    def get(self, candidate, precision):
        return self.results.get(f"{candidate.name}, {precision}")

    def put(self, candidate, precision, result):
        self.results[f"{candidate.name}, {precision}"] = result
        self.path.write_text(json.dumps({"identity": self.identity, "results": self.results}, indent=1) + "\n")

    def seconds(self, candidate, precision):
        result = self.get(candidate, precision)
        return statistics.median(result["seconds"]) if result else None


# ---- tables ---------------------------------------------------------------------------------------------------------


def epochs_table(measured):
    rows = [[c.name, *(cell(measured.seconds(c, precision), ".3f") for precision in PRECISIONS)] for c in CANDIDATES]
    return table(["seconds per epoch", *PRECISIONS], rows)


def ratios_table(measured):
    """How many times faster ours with graphs is than each of PyTorch's, at the same precision."""
    others = {"DataLoader, eager": [FIRST], "data on the GPU, eager": [SECOND], "compiled, the faster layout": THIRD}
    rows = []
    for ours in (candidate for candidate in CANDIDATES if candidate.graph == "on"):
        for title, names in others.items():
            cells = []
            for precision in PRECISIONS:
                mine = measured.seconds(ours, precision)
                theirs = [measured.seconds(c, precision) for c in CANDIDATES if c.name in names]
                theirs = [value for value in theirs if value is not None]
                cells.append(cell(min(theirs) / mine if mine and theirs else None, ".2f"))
            rows.append([f"{ours.name} / {title}", *cells])
    return table(["times as fast", *PRECISIONS], rows)


def steps_table(measured, arguments):
    """A step of batch 100 against what the GPU's data sheet allows, and where eager PyTorch's goes."""
    peaks = PEAKS.get(arguments.model)
    steps = arguments.train_samples / BATCH_SIZE
    rows = []
    if peaks:
        rows.append([f"floor: {STEP_FLOP / 1e9} GFLOP", *(f"{1e3 * STEP_FLOP / peaks[p]:.3f}" for p in PRECISIONS)])
        rows.append([f"floor: {STEP_BYTES / 1e6:.0f} MB of float32"] + [f"{1e3 * STEP_BYTES / peaks['memory']:.3f}"] * 3)
    milliseconds = lambda seconds: None if seconds is None else 1e3 * seconds / steps  # noqa: E731
    for candidate in CANDIDATES[1:]:
        cells = [cell(milliseconds(measured.seconds(candidate, precision)), ".3f") for precision in PRECISIONS]
        rows.append([f"whole step, {candidate.name}", *cells])
    second = next(candidate for candidate in CANDIDATES if candidate.name == SECOND)
    profiles = [(measured.get(second, precision) or {}).get("device_milliseconds", {}) for precision in PRECISIONS]
    for kind in next((list(profile) for profile in profiles if profile), []):
        rows.append([f"on the GPU, eager PyTorch: {kind}", *(cell(profile.get(kind), ".3f") for profile in profiles)])
    return table(["milliseconds of a step", *PRECISIONS], rows)


# ---- the command line -----------------------------------------------------------------------------------------------


def find_model(arguments):
    """The model of what it runs on; ends the script where that is not there."""
    if arguments.device == "cpu":
        return hardware.processor()
    model, reason = hardware.gpu(arguments.device), f"the driver shows no {arguments.device}"
    if model and arguments.only != "pytorch":
        reason = hardware.refusal(arguments.programs, "--device", arguments.device)
        model = None if reason else model
    if not model:
        print(f"there is no GPU here: {reason}\nnothing was measured; --device cpu tries the script",
              file=sys.stderr)
        sys.exit(NO_GPU)
    return model


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    programs.add_flags(parser)
    kept = programs.PROJECT / "runs/bench-gpu"
    parser.add_argument("--directory", type=Path, default=kept, help="where measurements are kept")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has torch")
    parser.add_argument("--device", default="cuda:0", help="cuda:I, or cpu to try the script")
    parser.add_argument("--epochs", type=int, default=5, help="counted epochs of each measurement")
    parser.add_argument("--train-samples", type=int, default=60_000, help="the first K only, a multiple of the batch")
    parser.add_argument("--only", choices=["concentric", "pytorch"], help="measure this side only")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS, help="measure these only")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    arguments = parser.parse_args()
    if arguments.epochs < 1 or arguments.train_samples < BATCH_SIZE or arguments.train_samples % BATCH_SIZE:
        parser.error(f"--epochs must be at least 1, --train-samples a multiple of {BATCH_SIZE}")
    programs.check_flags(arguments, parser)
    arguments.model = find_model(arguments)
    arguments.driver = "" if arguments.device == "cpu" else hardware.driver()
    if arguments.only != "concentric":
        check_python(arguments, parser)
    arguments.no_graphs = why_no_graphs(arguments)
    if arguments.device == "cpu":
        # It has no TF32.
        arguments.precisions = [precision for precision in arguments.precisions if precision != "tf32"]
    arguments.directory.mkdir(parents=True, exist_ok=True)
    return arguments


def why_no_graphs(arguments):
    """Why steps cannot be recorded here, in the worker's words; nothing where they can, or where nobody asks."""
    if arguments.only == "pytorch":
        return None
    refused = hardware.refusal(arguments.programs, "--device", arguments.device, "--cuda-graph", "on")
    if refused:
        print(f"the rows with CUDA graphs are left out: {refused}", file=sys.stderr, flush=True)
    return refused


def check_python(arguments, parser):
    asked = "import torch; print(torch.__version__, torch.cuda.is_available())"
    command = [arguments.python, "-c", asked]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        parser.error(f"--python {arguments.python}: {error}")
    if found.returncode != 0:
        parser.error(f"{arguments.python} has no torch: name another with --python, or measure --only concentric")
    if arguments.device != "cpu" and not found.stdout.strip().endswith("True"):
        parser.error(f"the torch of {arguments.python} sees no GPU ({found.stdout.strip()})")


def main():
    arguments = parse()
    end_in_order_when_terminated()
    measured = Measured(arguments)
    engines = {"concentric": run_concentric, "pytorch": run_pytorch}
    for precision in arguments.precisions:
        for candidate in CANDIDATES:
            if arguments.only not in (None, candidate.engine) or measured.get(candidate, precision):
                continue
            if candidate.graph == "on" and arguments.no_graphs:
                continue
            try:
                result = engines[candidate.engine](candidate, precision, arguments)
            except Trouble as trouble:
                sys.exit(f"{candidate.name}, {precision}: {trouble}")
            measured.put(candidate, precision, result)
            print(
                f"{candidate.name}, {precision}: {measured.seconds(candidate, precision):.3f} s, last loss "
                f"{result['last_loss']:.4f}", file=sys.stderr, flush=True,
            )
    print(f"\n`{shlex.join(['worker/benches/gpu.py', *sys.argv[1:]])}`\n")
    print(
        f"{arguments.model}{arguments.driver}, {hardware.machine()}; medians of {arguments.epochs} epochs of "
        f"{arguments.train_samples:,} samples, {time.strftime('%Y-%m-%d')}\n"
    )
    print(epochs_table(measured), ratios_table(measured), steps_table(measured, arguments), sep="\n\n")


if __name__ == "__main__":
    main()
