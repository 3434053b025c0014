"""A model of many GPUs, not a measurement: the section "On paper" of docs/performance.md.

    python3 worker/benches/scaling.py

The exchanges of a step are those of worker/src/accelerator/pass.rs and worker/src/reduction/: sums of 64-bit numbers that
every rank sends whole to every other, and three buckets of gradients, each scattered in pieces and gathered. One logical
shard a rank, so a rank sends one partial. What an exchange costs: `latency + messages · per message + bytes / bandwidth`;
what a step costs on a GPU: a part that its kernels take however few samples they have, and one for each sample.
"""

import sys
from dataclasses import dataclass

sys.dont_write_bytecode = True
from pages import table  # noqa: E402

CHANNELS = [32, 32, 64, 64, 128, 128]
CLASSES, DIM = 10, 2
# Numbers of each blocking sum: forward with the class counts in the first, backward from the last layer.
FORWARD = [2 * channels + (CLASSES if layer == 0 else 0) for layer, channels in enumerate(CHANNELS)]
BACKWARD = [2 * channels + 1 for channels in reversed(CHANNELS)]
# Losses, right predictions and Σ(c − f); of a rank two numbers, of a sample its features, label and prediction.
RESULTS, PER_RANK, PER_SAMPLE = 3 + CLASSES * DIM, 2, DIM + 2
BUCKETS = [411_936, 204_800, 180_000]
GPUS_PER_MACHINE = 8


@dataclass(frozen=True)
class Link:
    """Microseconds, and bytes a microsecond in each direction of one GPU."""

    latency: float
    per_message: float
    bandwidth: float


# Latency: NCCL's own tuning constants for a ring's single step, base and link (protocol Simple). Bandwidth: data sheets.
NVLINK = Link(8.4 + 3.4, 0.0, 450e3)
INFINIBAND = Link(8.4 + 9.6, 1.0, 50e3)
# Of one GPU's step: what its kernels take without samples, and what 100 samples add. The sum is the target of a step in
# tf32, 0.35 s / 600; the second part is the floor of 735 MB at the 4.8 TB/s of an H200.
PER_100_SAMPLES = 735 / 4.8
FIXED = 0.35e6 / 600 - PER_100_SAMPLES


def peers(ranks):
    """How many of a rank's peers are on its machine, and how many beyond."""
    near = min(ranks, GPUS_PER_MACHINE) - 1
    return near, ranks - 1 - near


def exchange(ranks, bytes_to_each):
    """One exchange of every rank with every other; both networks work at the same time."""
    times = [0.0]
    for link, count in zip((NVLINK, INFINIBAND), peers(ranks)):
        if count:
            times.append(link.latency + count * (link.per_message + bytes_to_each / link.bandwidth))
    return max(times)


def bucket_half(ranks, numbers):
    """Scattering or gathering a bucket of float32 numbers: the same bytes."""
    return exchange(ranks, 4 * numbers / ranks)


def communication(ranks, batch):
    """(what a step waits for at least, what can hide behind the backward pass), microseconds."""
    blocking = sum(exchange(ranks, 8 * numbers) for numbers in FORWARD + BACKWARD)
    last = 2 * bucket_half(ranks, BUCKETS[-1])
    results = exchange(ranks, 8 * (RESULTS + PER_RANK + PER_SAMPLE * batch / ranks))
    hidden = results + sum(2 * bucket_half(ranks, numbers) for numbers in BUCKETS[:-1])
    return blocking + last, hidden


def step(ranks, batch):
    """Microseconds of a step in one logical shard a rank, and of them those in exchanges."""
    compute = FIXED + PER_100_SAMPLES * batch / ranks / 100
    if ranks == 1:
        return compute, 0.0
    exposed, hidden = communication(ranks, batch)
    # Backward is about two thirds of a step's work.
    exposed += max(0.0, hidden - compute * 2 / 3)
    return compute + exposed, exposed


def volume_table():
    rows = []
    for ranks in (8, 64):
        small = sum(8 * numbers for numbers in FORWARD + BACKWARD) * (ranks - 1)
        results = 8 * (RESULTS + PER_RANK + PER_SAMPLE * 100 / ranks) * (ranks - 1)
        gradients = 2 * 4 * sum(BUCKETS) * (ranks - 1) / ranks
        messages = (len(FORWARD + BACKWARD) + 1 + 2 * len(BUCKETS)) * (ranks - 1)
        rows.append([f"{ranks} GPUs", *(f"{value / 1e6:.3f}" for value in (small, results, gradients)), str(messages)])
    header = ["sent by a GPU in a step", "12 blocking sums, MB", "results and rows, MB", "gradients, MB", "messages"]
    return table(header, rows)


def scaling_table():
    rows = []
    for ranks in (1, 2, 4, 8, 64):
        for batch in (100, 800, 6400, 51_200):
            if batch >= ranks:
                total, waiting = step(ranks, batch)
                alone, _ = step(1, batch)
                rows.append([
                    f"{ranks}", f"{batch}", f"{total / 1e3:.2f}", f"{waiting / 1e3:.2f}", f"{alone / total:.2f}",
                    f"{100 * alone / total / ranks:.0f}",
                ])
    return table(["GPUs", "batch", "step, ms", "of it exchanges, ms", "times as fast as one GPU", "efficiency, %"], rows)


def least_batch(ranks, efficiency):
    """The smallest batch, to two digits, at which so many GPUs are used so well."""
    batch = ranks
    while step(1, batch)[0] / step(ranks, batch)[0] / ranks < efficiency:
        batch = batch * 1.01
    digits = len(str(int(batch))) - 2
    return round(batch, -digits)


def batches_table():
    rows = []
    for ranks in (2, 8, 64):
        faster = least_batch(ranks, 1 / ranks)
        rows.append([f"{ranks}", *(f"{least:,.0f}" for least in (faster, least_batch(ranks, 0.5), least_batch(ranks, 0.8)))])
    return table(["GPUs", "faster than one GPU from batch", "half efficient", "80 % efficient"], rows)


def main():
    print(f"per step and GPU: {FIXED:.0f} µs + {PER_100_SAMPLES:.0f} µs for each 100 samples\n")
    print(volume_table(), scaling_table(), batches_table(), sep="\n\n")


if __name__ == "__main__":
    main()
