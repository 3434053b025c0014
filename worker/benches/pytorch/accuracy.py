"""How long eager PyTorch trains until it classifies a share of the test set rightly, evaluated after each epoch.

    python accuracy.py --data-dir DIR --threads 2 --seed 0 --until 0.98

Network, losses and recipe are those of train.py, every epoch in a fresh order. Seconds are those of the training alone.
Prints one line of JSON an epoch.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
from train import (  # noqa: E402
    EVALUATION_BATCH, Network, SoftmaxCenterLoss, class_counts, normalised, optimizers_of, read_idx,
)


def read(directory, name):
    images = read_idx(directory / f"{name}-images-idx3-ubyte.gz")
    return images, read_idx(directory / f"{name}-labels-idx1-ubyte.gz").long()


def train_epoch(model, optimizers, data, arguments):
    images, labels = data
    model.train()
    for places in torch.randperm(len(labels)).split(arguments.batch_size):
        for optimizer in optimizers:
            optimizer.zero_grad()
        batch = labels[places]
        pixels = normalised(images[places], arguments.memory_format)
        model(pixels, batch, class_counts(batch), len(batch)).backward()
        for optimizer in optimizers:
            optimizer.step()


def accuracy(model, data, arguments):
    model.eval()
    right = 0
    with torch.inference_mode():
        for images, labels in zip(*(values.split(EVALUATION_BATCH) for values in data)):
            scores = model.network(normalised(images, arguments.memory_format))[1]
            right += (scores.argmax(1) == labels).sum().item()
    return right / len(data[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with MNIST as .gz files")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--until", type=float, default=0.98, help="ends after the epoch that reaches this accuracy")
    parser.add_argument("--epochs", type=int, default=10, help="or after as many")
    arguments = parser.parse_args()
    # The faster layout on the processors that were tried.
    arguments.memory_format = torch.channels_last
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    model = SoftmaxCenterLoss(Network()).to(memory_format=arguments.memory_format)
    optimizers = optimizers_of(model)
    train, test = read(arguments.data_dir, "train"), read(arguments.data_dir, "t10k")
    seconds = 0.0
    for _ in range(arguments.epochs):
        start = time.perf_counter()
        train_epoch(model, optimizers, train, arguments)
        seconds += time.perf_counter() - start
        reached = accuracy(model, test, arguments)
        print(json.dumps({"seconds": seconds, "test_accuracy": reached}), flush=True)
        if reached >= arguments.until:
            return


if __name__ == "__main__":
    main()
