"""Whole epochs in PyTorch, one process, on a GPU or a CPU: what `gpu.py` measures Concentric against.

    python epochs.py --data-dir DIR --device cuda:0 --variant loader
    python epochs.py --data-dir DIR --device cuda:0 --variant compiled --precision tf32

- `loader`: the script of a blog. A DataLoader with workers turns each image into a normalised tensor and collates
  batches; the step is eager, and the loss is read after each.
- `resident`: the data lie on the device as bytes; the step is eager, and nobody waits for a number.
- `compiled`: the same, network and losses compiled with mode="reduce-overhead" (CUDA graphs), fused optimizers.

Prints one line of JSON: seconds of each counted epoch, and with --profile where a step's time on the device goes.
"""

import argparse
import json
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset

sys.dont_write_bytecode = True
sys.path[:0] = map(str, Path(__file__).resolve().parents[:2])
from kernel_kinds import by_kind  # noqa: E402
from train import CLASSES, MEAN, STD, Network, SoftmaxCenterLoss, read_idx  # noqa: E402

PROFILED_STEPS = 20


class Images(Dataset):
    """Each image as torchvision's ToTensor and Normalize would give it."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index].unsqueeze(0).float().div(255).sub(MEAN).div(STD), int(self.labels[index])


def load(arguments):
    images = read_idx(arguments.data_dir / "train-images-idx3-ubyte.gz")[: arguments.train_samples]
    labels = read_idx(arguments.data_dir / "train-labels-idx1-ubyte.gz").long()[: arguments.train_samples]
    return images, labels


def set_precision(precision):
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"


class Training:
    """Network, centers and their optimizers."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.device = torch.device(arguments.device)
        self.format = torch.channels_last if arguments.channels_last else torch.contiguous_format
        compiled = arguments.variant == "compiled"
        torch.manual_seed(0)
        torch.backends.cudnn.benchmark = arguments.variant != "loader"
        model = SoftmaxCenterLoss(Network()).train().to(self.device, memory_format=self.format)
        fused = {"fused": True} if compiled else {}
        self.optimizers = [
            torch.optim.SGD(model.network.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4, **fused),
            torch.optim.SGD([model.center], lr=0.5, **fused),
        ]
        self.classes = torch.arange(CLASSES, device=self.device)
        self.loss = self.both_losses(model)
        if compiled:
            # On a CPU there are no graphs to make.
            mode = {"mode": "reduce-overhead"} if self.device.type == "cuda" else {}
            self.loss = torch.compile(self.loss, **mode)

    def both_losses(self, model):
        # bincount would wait for the device.
        def loss(images, labels):
            counts = (labels.unsqueeze(1) == self.classes).sum(0)
            return model(images, labels, counts, labels.shape[0])

        return loss

    def autocast(self):
        wanted = self.arguments.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16) if wanted else nullcontext()

    def step(self, images, labels):
        images = images.contiguous(memory_format=self.format)
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        with self.autocast():
            loss = self.loss(images, labels)
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        return loss

    def wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


class FromLoader:
    """Batches of a DataLoader, brought to the device one by one; the loss is read after each."""

    def __init__(self, training, arguments):
        self.training, self.batch_size = training, arguments.batch_size
        self.loader = DataLoader(
            Images(*load(arguments)), batch_size=arguments.batch_size, shuffle=True,
            num_workers=arguments.loader_workers, pin_memory=training.device.type == "cuda",
        )

    def epoch(self):
        total = 0.0
        for images, labels in self.loader:
            images, labels = images.to(self.training.device), labels.to(self.training.device)
            total += self.training.step(images, labels).item() * len(labels)
        return total / len(self.loader.dataset)


class Resident:
    """All samples as bytes on the device, in a fresh order every epoch."""

    def __init__(self, training, arguments):
        self.training, self.batch_size = training, arguments.batch_size
        self.images, self.labels = (values.to(training.device) for values in load(arguments))

    def batches(self):
        order = torch.randperm(len(self.images), device=self.training.device)
        for places in order.split(self.batch_size):
            images = self.images[places].unsqueeze(1).float().div_(255).sub_(MEAN).div_(STD)
            yield images, self.labels[places]

    def epoch(self):
        total = torch.zeros((), device=self.training.device)
        for images, labels in self.batches():
            total += self.training.step(images, labels).detach() * len(labels)
        return total.item() / len(self.images)


def profile(source):
    """Milliseconds of a step on the device, by kinds of kernels."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    batches = source.batches()
    with profiler(activities=[ProfilerActivity.CUDA]) as measured:
        for _ in range(PROFILED_STEPS):
            source.training.step(*next(batches))
        source.training.wait()
    return by_kind(
        (event.key, event.self_device_time_total / 1000 / PROFILED_STEPS) for event in measured.key_averages()
    )


def measure(arguments):
    set_precision(arguments.precision)
    training = Training(arguments)
    source = (FromLoader if arguments.variant == "loader" else Resident)(training, arguments)
    seconds = []
    for _ in range(arguments.warmup_epochs + arguments.epochs):
        training.wait()
        started = time.perf_counter()
        loss = source.epoch()
        training.wait()
        seconds.append(time.perf_counter() - started)
    result = {"seconds": seconds[arguments.warmup_epochs :], "last_loss": loss, "torch": torch.__version__}
    if arguments.profile:
        result["device_milliseconds"] = profile(source)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with MNIST's training set as .gz files")
    parser.add_argument("--device", default="cuda:0", help="cuda:I or cpu")
    parser.add_argument("--variant", choices=["loader", "resident", "compiled"], required=True)
    parser.add_argument("--precision", choices=["f32", "tf32", "bf16"], default="f32")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=3, help="counted epochs")
    parser.add_argument("--warmup-epochs", type=int, default=1)
    parser.add_argument("--train-samples", type=int, default=60_000)
    parser.add_argument("--loader-workers", type=int, default=4, help="processes of the DataLoader")
    parser.add_argument("--profile", action="store_true", help="of resident and compiled, on a GPU")
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments)), flush=True)


if __name__ == "__main__":
    main()
