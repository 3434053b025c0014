"""The single-node definition of one training run in PyTorch float64, and the values the Rust tests compare with.

    python single_node.py            runs every case and writes expected.json beside this file
    python single_node.py NAME…      runs these cases only and replaces them in expected.json
    python single_node.py --check    runs every case with each batch's samples in reverse order and compares with
                                     expected.json: the definition does not depend on that order, so what is seen
                                     is how far rounding alone moves the recorded values

Nothing is read: parameters and samples come from a closed formula (an integer hash, so that every machine and language
gets the same bits).
"""

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.func import functional_call

from torch import nn

from batch_losses import TERMS, parse
from network import CLASSES, NETWORKS, center_distances, class_counts

EXPECTED = Path(__file__).with_name("expected.json")

MEAN, STD = 0.1309, 0.3084
LR, MOMENTUM, WEIGHT_DECAY = 1e-3, 0.9, 5e-4
CENTER_LR, CENTER_WEIGHT = 0.5, 2.0
CENTER_TENSOR = 28
RANKS = 4


@dataclass
class Case:
    batch_size: int
    train_samples: int
    steps: int = 20
    loss: str = "center"  # as --loss takes it, with default parameters
    center_rule: str = "autograd"  # autograd | wen
    optimizer: str = "sgd"  # sgd | adam
    network: str = "cnn"  # cnn | mlp
    broken: str = "none"  # none | local-counts | local-batch-norm | mean-of-means


CASES = {
    "batch-100": Case(100, 2000),
    "batch-97": Case(97, 1940),
    "short-last-batch": Case(100, 260),
    "wen": Case(40, 800, center_rule="wen"),
    "softmax": Case(40, 800, loss="softmax"),
    "cross-entropy": Case(40, 800, loss="cross-entropy"),
    "adam": Case(40, 800, optimizer="adam"),
    "mlp": Case(100, 260, network="mlp"),
    "supcon": Case(97, 260, network="mlp", loss="softmax + 0.5*supcon"),
    "supcon-cnn": Case(100, 260, loss="softmax + center + 0.1*supcon"),
    "triplet": Case(97, 260, network="mlp", loss="softmax + triplet"),
    "triplet-soft": Case(97, 260, network="mlp", loss="cross-entropy + center + 0.25*triplet-soft"),
    "contrastive-center": Case(97, 260, network="mlp", loss="softmax + 2*contrastive-center"),
    "arcface": Case(97, 260, network="mlp", loss="arcface"),
    "cosface": Case(97, 260, network="mlp", loss="0.5*cosface + center"),
    "mlp-wen-adam": Case(97, 1940, network="mlp", center_rule="wen", optimizer="adam"),
}

# What plain data parallelism gets wrong, one mistake at a time, everything else right; `right` is their measure.
BROKEN = {
    "right": Case(97, 1940, steps=3),
    "local-counts": Case(97, 1940, steps=3, broken="local-counts"),
    "local-batch-norm": Case(97, 1940, steps=3, broken="local-batch-norm"),
    "mean-of-means": Case(97, 1940, steps=3, broken="mean-of-means"),
}


# ---- closed formulas ------------------------------------------------------------------------------------------------


def splitmix64(x):
    """One output of SplitMix64 from state `x` (uint64 array); arithmetic wraps."""
    z = x + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(tensor, count):
    """`count` numbers in [0, 1): the top 53 bits of splitmix64(tensor << 32 | flat row-major index)."""
    index = np.arange(count, dtype=np.uint64)
    bits = splitmix64(np.uint64(tensor << 32) | index) >> np.uint64(11)
    return torch.from_numpy(bits.astype(np.float64) / 2.0**53)


def initial_value(tensor, module, name, parameter):
    u = uniform(tensor, parameter.numel()).reshape(parameter.shape)
    if isinstance(module, nn.PReLU):
        return torch.full_like(parameter, 0.25)
    if isinstance(module, nn.BatchNorm2d):
        return 0.75 + 0.5 * u if name == "weight" else 0.2 * (u - 0.5)
    # Convolution and linear: a bias takes its weight's fan-in.
    return (2.0 * u - 1.0) / math.sqrt(module.weight[0].numel())


def initial_network(kind="cnn"):
    network = NETWORKS[kind]().double()
    for tensor, (path, parameter) in enumerate(network.named_parameters()):
        module, name = path.rsplit(".", 1)
        parameter.data.copy_(initial_value(tensor, network.get_submodule(module), name, parameter))
    return network


def initial_centers():
    return (4.0 * uniform(CENTER_TENSOR, 2 * CLASSES) - 2.0).reshape(CLASSES, 2).requires_grad_()


def labels_and_pixels(samples):
    """Labels `[samples]` int64 and grey bytes `[samples, 784]`, as a dataset's IDX files would hold them."""
    i = np.arange(samples, dtype=np.uint64)
    label = splitmix64(np.uint64(1 << 61) | i) % np.uint64(CLASSES)
    p = np.arange(784, dtype=np.uint64)
    byte = splitmix64(np.uint64(1 << 60) | (i[:, None] << np.uint64(10)) | p) >> np.uint64(56)
    lit = (p * np.uint64(7) + label[:, None] * np.uint64(13)) % np.uint64(10) < 5
    return label.astype(np.int64), np.where(lit, byte, byte // np.uint64(4)).astype(np.uint8)


def batches(case, reverse=False):
    """Batches in file order, epoch after epoch, the last of an epoch as short as it comes out."""
    labels, pixels = map(torch.from_numpy, labels_and_pixels(case.train_samples))
    images = ((pixels.double() / 255 - MEAN) / STD).reshape(-1, 1, 28, 28)
    starts = list(range(0, case.train_samples, case.batch_size))
    for step in range(case.steps):
        start = starts[step % len(starts)]
        x, y = images[start : start + case.batch_size], labels[start : start + case.batch_size]
        yield (x.flip(0), y.flip(0)) if reverse else (x, y)


# ---- the definition -------------------------------------------------------------------------------------------------


def losses(case, network, centers, images, labels):
    """Of one global batch: softmax loss, center loss, the terms over the whole batch by name; and the features."""
    features, scores = forward(case, network, images)
    softmax, center, terms = torch.zeros(()), torch.zeros(()), {}
    for name, weight in parse(case.loss):
        if name == "cross-entropy":
            softmax = F.cross_entropy(scores, labels)
        elif name == "softmax":
            softmax = batch_mean(case, F.nll_loss(F.log_softmax(scores, 1), labels, reduction="none"))
        elif name == "center":
            distances = center_distances(features, labels, centers, counts(case, labels))
            center = CENTER_WEIGHT / 2 * batch_mean(case, distances)
        else:
            terms[name] = weight * TERMS[name](features, labels, centers, network.output.weight)
    return softmax, center, terms, features


def forward(case, network, images):
    return forward_local_batch_norm(network, images) if case.broken == "local-batch-norm" else network(images)


def counts(case, labels):
    return LocalCounts(labels) if case.broken == "local-counts" else class_counts(labels)


def batch_mean(case, values):
    return mean_of_means(values) if case.broken == "mean-of-means" else values.mean()


def wen_step(centers, features, labels):
    """c_k ← c_k − α · Σ(c_k − f_i) / (1 + n_k); a class that is absent stays where it is, its sum being 0."""
    with torch.no_grad():
        pull = torch.zeros_like(centers).index_add_(0, labels, centers[labels] - features)
        centers -= CENTER_LR * pull / (1 + class_counts(labels))[:, None]


def optimizers(case, network, centers):
    if case.optimizer == "adam":
        network_optimizer = torch.optim.Adam(network.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
    else:
        network_optimizer = torch.optim.SGD(
            network.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
        )
    return network_optimizer, torch.optim.SGD([centers], lr=CENTER_LR)


def train(case, reverse=False):
    """The trained network, its centers, the losses of every step and the first step's gradient."""
    network, centers = initial_network(case.network).train(), initial_centers()
    network_optimizer, center_optimizer = optimizers(case, network, centers)
    history, first_gradient = [], None
    for images, labels in batches(case, reverse):
        softmax_loss, center_loss, terms, features = losses(case, network, centers, images, labels)
        loss = softmax_loss + center_loss + sum(terms.values())
        network_optimizer.zero_grad()
        center_optimizer.zero_grad()
        loss.backward()
        for parameter in network.parameters():
            # A margin needs no bias: as any number that the loss does not depend on, it only decays.
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        if first_gradient is None:
            first_gradient = torch.cat([p.grad.flatten() for p in network.parameters()])
        network_optimizer.step()
        if case.center_rule == "wen":
            wen_step(centers, features, labels)
        elif "center" in case.loss:
            center_optimizer.step()
        named = {name: term.item() for name, term in terms.items()}
        history.append((loss.item(), softmax_loss.item(), center_loss.item(), named))
    return network, centers.detach(), history, first_gradient


# ---- the broken variants: four ranks inside one process --------------------------------------------------------------


def slices(values):
    """Contiguous slices whose sizes differ by at most one, larger ones first."""
    return torch.tensor_split(values, RANKS)


class LocalCounts:
    """Each rank divides by how many samples of the class its own slice holds."""

    def __init__(self, labels):
        self.per_sample = torch.cat([class_counts(part)[part] for part in slices(labels)])

    def __getitem__(self, labels):
        return self.per_sample


def forward_local_batch_norm(network, images):
    """Each rank normalises by the statistics of its own slice; rank 0's running statistics are kept, as DDP does."""
    outputs = []
    for rank, part in enumerate(slices(images)):
        discarded = {} if rank == 0 else {name: buffer.clone() for name, buffer in network.named_buffers()}
        outputs.append(functional_call(network, discarded, (part,)))
    return tuple(torch.cat(parts) for parts in zip(*outputs))


def mean_of_means(values):
    """The plain average of the ranks' averages, as if every slice had the same size."""
    return torch.stack([part.mean() for part in slices(values)]).mean()


# ---- what is recorded -----------------------------------------------------------------------------------------------


def record(case, network, centers, history):
    tensors = dict(network.named_parameters()) | dict(network.named_buffers())
    loss, softmax_loss, center_loss, terms = zip(*history)
    return {
        "batch_size": case.batch_size,
        "train_samples": case.train_samples,
        "steps": case.steps,
        "loss_kind": case.loss,
        "center_rule": case.center_rule,
        "optimizer": case.optimizer,
        "network": case.network,
        "loss": loss,
        "softmax_loss": softmax_loss,
        "center_loss": center_loss,
        "terms": {name: [step[name] for step in terms] for name in terms[0]},
        "norm": {name: t.double().norm().item() for name, t in tensors.items() if t.is_floating_point()},
        "sum": {name: t.double().sum().item() for name, t in tensors.items() if t.is_floating_point()},
        "centers": centers.flatten().tolist(),
    }


def vector(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def running_statistics(network):
    return torch.cat([b.flatten() for b in network.buffers() if b.is_floating_point()])


def relative(a, b):
    return ((a - b).norm() / b.norm()).item()


def broken_variants():
    runs = {name: train(case) for name, case in BROKEN.items()}
    right, right_centers, _, right_gradient = runs["right"]
    start, start_centers = vector(initial_network()), initial_centers().detach()
    result = {}
    for name, (network, centers, history, gradient) in runs.items():
        result[name] = record(BROKEN[name], network, centers, history)
        result[name]["difference"] = {
            "first_gradient": relative(gradient, right_gradient),
            "parameters": relative(vector(network), vector(right)),
            "parameter_change": relative(vector(network) - start, vector(right) - start),
            "running_statistics": relative(running_statistics(network), running_statistics(right)),
            "centers": relative(centers, right_centers),
            "center_change": relative(centers - start_centers, right_centers - start_centers),
        }
    return result


def initial_values():
    """What the closed formulas give, so that another implementation of them can be checked before anything is run."""
    network, labels_pixels = initial_network(), labels_and_pixels(100)
    parameters = dict(network.named_parameters())
    return {
        "parameters": list(parameters),
        "shapes": [list(p.shape) for p in parameters.values()],
        "norm": {name: p.norm().item() for name, p in parameters.items()},
        "first": {name: p.flatten()[0].item() for name, p in parameters.items()},
        "centers": initial_centers().flatten().tolist(),
        "labels_of_100": labels_pixels[0].tolist(),
        "pixel_sums_of_100": labels_pixels[1].sum(1, dtype=np.int64).tolist(),
    }


def largest_difference(expected, found, path=""):
    """The largest relative difference between two nests of numbers, and where it is.

    Sums may cancel, so they are measured against the tensor's norm.
    """
    worst = (0.0, path)
    for name in ("loss", "softmax_loss", "center_loss", "centers"):
        for i, (a, b) in enumerate(zip(expected[name], found[name], strict=True)):
            worst = max(worst, (abs(a - b) / (abs(a) or 1.0), f"{path}{name}[{i}]"))
    for name, values in expected.get("terms", {}).items():
        for i, (a, b) in enumerate(zip(values, found["terms"][name], strict=True)):
            worst = max(worst, (abs(a - b) / (abs(a) or 1.0), f"{path}{name}[{i}]"))
    for name, norm in expected["norm"].items():
        worst = max(worst, (abs(norm - found["norm"][name]) / norm, f"{path}norm {name}"))
        worst = max(worst, (abs(expected["sum"][name] - found["sum"][name]) / norm, f"{path}sum {name}"))
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with expected.json instead of writing it")
    parser.add_argument("names", nargs="*", metavar="NAME", help="cases to run [default: all, and the broken variants]")
    arguments = parser.parse_args()
    check, chosen = arguments.check, arguments.names or list(CASES)
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    expected = json.loads(EXPECTED.read_text()) if check or arguments.names else None

    cases = {}
    for name, case in ((name, CASES[name]) for name in chosen):
        start = time.perf_counter()
        network, centers, history, _ = train(case, reverse=check)
        cases[name] = record(case, network, centers, history)
        print(f"{name}: {time.perf_counter() - start:.0f} s, last loss {history[-1][0]!r}", flush=True)
        if check:
            difference, where = largest_difference(expected["cases"][name], cases[name])
            print(f"  largest relative difference {difference:.1e} at {where}", flush=True)
    if check:
        return
    if arguments.names:
        expected["cases"] |= cases
        write(expected)
        return

    broken = broken_variants()
    for name, result in broken.items():
        print(name, result["difference"], flush=True)
    write({"torch": torch.__version__, "initial": initial_values(), "cases": cases, "broken": broken})


def write(values):
    EXPECTED.write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    main()
