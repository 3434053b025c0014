"""What one would otherwise use: the same network and losses in PyTorch, MNIST in memory.

    python train.py --data-dir DIR --threads 2
    python train.py --data-dir DIR --threads 2 --channels-last --compile --bf16 --evaluate
    python train.py --data-dir DIR --world-size 2 --threads 1

With more than one rank this is DistributedDataParallel over Gloo, made right the way a careful user would: batch
normalisation over the global batch (SyncBatchNorm refuses CPU tensors), per-class counts of the global batch, losses
divided by its size. Prints one line of JSON.
"""

import argparse
import gzip
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/reference"))
from network import CLASSES, Network, center_distances, class_counts  # noqa: E402

MEAN, STD = 0.1309, 0.3084
CENTER_WEIGHT = 2.0
EVALUATION_BATCH = 500


def read_idx(path):
    """The bytes of an IDX file, in the shape its header says."""
    data = gzip.decompress(path.read_bytes())
    dimensions = data[3]
    shape = np.frombuffer(data, ">i4", dimensions, offset=4)
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy())


class GlobalBatchNormFunction(torch.autograd.Function):
    """Batch normalisation whose sums are all-reduced, forward and backward.

    Normalising and its gradient use the engine's fused kernels in their "given statistics" form; the backward kernel
    yields Σ dy and Σ dy·x̂ beside dy·w/σ, so that only the correction for the statistics' own gradient is added.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, running_mean, running_var, momentum, eps):
        channels = x.shape[1]
        # Many times faster on a CPU than torch.var_mean; vector_norm over all three axes loses digits in float32.
        sums = torch.cat([x.sum((0, 2, 3)), x.square().sum((0, 2, 3)), x.new_tensor([x.numel() // channels])])
        dist.all_reduce(sums)
        count = sums[-1]
        mean, square = (sums[:-1] / count).split(channels)
        variance = square - mean.square()
        running_mean.lerp_(mean, momentum)
        running_var.lerp_(variance * (count / (count - 1)), momentum)
        ctx.eps = eps
        ctx.save_for_backward(x, weight, mean, variance, count)
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    def backward(ctx, dy):
        x, weight, mean, variance, count = ctx.saved_tensors
        dx, d_weight, d_bias = torch.ops.aten.native_batch_norm_backward(
            dy, x, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        sums = torch.cat([d_weight, d_bias])
        dist.all_reduce(sums)
        sum_dy_xhat, sum_dy = (sums / count).split(x.shape[1])
        inverse_std = (variance + ctx.eps).rsqrt()
        # dx −= (w/σ) · (mean(dy) + x̂ · mean(dy·x̂)), with x̂ = (x − mean)/σ written as one multiply and one add.
        slope = weight * inverse_std.square() * sum_dy_xhat
        offset = weight * inverse_std * sum_dy - slope * mean
        per_channel = (1, -1, 1, 1)
        dx.addcmul_(x, slope.view(per_channel), value=-1).sub_(offset.view(per_channel))
        return dx, d_weight, d_bias, None, None, None, None


class GlobalBatchNorm(nn.BatchNorm2d):
    def forward(self, x):
        return GlobalBatchNormFunction.apply(
            x, self.weight, self.bias, self.running_mean, self.running_var, self.momentum, self.eps
        )


class SoftmaxCenterLoss(nn.Module):
    """Network and centers as one module, so that DistributedDataParallel averages all gradients."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.center = nn.Parameter(torch.randn(CLASSES, 2))

    def forward(self, images, labels, counts, batch_size):
        features, scores = self.network(images)
        softmax_loss = F.nll_loss(F.log_softmax(scores, 1), labels, reduction="sum")
        center_loss = CENTER_WEIGHT / 2 * center_distances(features, labels, self.center, counts).sum()
        return (softmax_loss + center_loss) / batch_size


def optimizers_of(model):
    """The network's, and that of the centers."""
    return [
        torch.optim.SGD(model.network.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4),
        torch.optim.SGD([model.center], lr=0.5),
    ]


def normalised(pixels, memory_format):
    return pixels.unsqueeze(1).float().div_(255).sub_(MEAN).div_(STD).contiguous(memory_format=memory_format)


def local_slice(values, rank, world_size):
    return torch.tensor_split(values, world_size)[rank]


def load(arguments, rank):
    """This rank's part of every batch of the first epoch: grey bytes and labels, step by step, in file order."""
    directory = Path(arguments.data_dir)
    images = read_idx(directory / "train-images-idx3-ubyte.gz")
    labels = read_idx(directory / "train-labels-idx1-ubyte.gz").long()
    batches = list(zip(images.split(arguments.batch_size), labels.split(arguments.batch_size)))
    return [tuple(local_slice(v, rank, arguments.world_size) for v in batch) for batch in batches]


def train(arguments, rank):
    torch.manual_seed(0)
    distributed = arguments.world_size > 1
    model = SoftmaxCenterLoss(Network(norm=GlobalBatchNorm if distributed else nn.BatchNorm2d)).train()
    memory_format = torch.channels_last if arguments.channels_last else torch.contiguous_format
    model.to(memory_format=memory_format)
    optimizers = optimizers_of(model)
    wrapped = nn.parallel.DistributedDataParallel(model, broadcast_buffers=False) if distributed else model
    if arguments.compile:
        wrapped = torch.compile(wrapped)

    def step(pixels, labels):
        images = normalised(pixels, memory_format)
        counts = class_counts(labels)
        if distributed:
            dist.all_reduce(counts)
        # The averaging of gradients over ranks is undone by the factor, so that they are sums over the global batch.
        with torch.autocast("cpu", torch.bfloat16, enabled=arguments.bf16):
            loss = wrapped(images, labels, counts, arguments.batch_size) * arguments.world_size
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        return loss.item()

    batches = load(arguments, rank)
    seconds = []
    for i in range(arguments.warmup_steps + arguments.steps):
        start = time.perf_counter()
        loss = step(*batches[i % len(batches)])
        seconds.append(time.perf_counter() - start)
    pace = evaluate(model.network, memory_format, arguments) if arguments.evaluate else None
    return seconds[arguments.warmup_steps :], loss, pace


def evaluate(network, memory_format, arguments):
    """Images a second of one pass over the test set, after another that is not counted."""
    images = read_idx(Path(arguments.data_dir) / "t10k-images-idx3-ubyte.gz")
    network.eval()
    run = torch.compile(network) if arguments.compile else network
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=arguments.bf16):
        for _ in range(2):
            start = time.perf_counter()
            for pixels in images.split(EVALUATION_BATCH):
                run(normalised(pixels, memory_format))[1].argmax(1)
            seconds = time.perf_counter() - start
    return len(images) / seconds


def across_ranks(value, operation):
    tensor = torch.tensor([float(value)], dtype=torch.float64)
    if dist.is_initialized():
        dist.all_reduce(tensor, operation)
    return tensor.item()


def run(rank, arguments, store):
    torch.set_num_threads(arguments.threads)
    if arguments.world_size > 1:
        dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=arguments.world_size)
    seconds, loss, evaluated = train(arguments, rank)
    # The last loss is there to see that every world size computes the same thing.
    last_loss = across_ranks(loss / arguments.world_size, dist.ReduceOp.SUM)
    peak_rss_kb = across_ranks(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, dist.ReduceOp.MAX)
    if rank == 0:
        result = {
            "images_per_second": arguments.batch_size * len(seconds) / sum(seconds),
            "seconds_per_step": statistics.median(seconds),
            "evaluated_per_second": evaluated,
            "peak_rss_mb": peak_rss_kb / 1024,
            "world_size": arguments.world_size,
            "threads": arguments.threads,
            "batch_size": arguments.batch_size,
            "channels_last": arguments.channels_last,
            "steps": len(seconds),
            "last_loss": last_loss,
            "torch": torch.__version__,
        }
        print(json.dumps(result), flush=True)
    if dist.is_initialized():
        # Taking Gloo's threads down ends the process with SIGABRT at times; the result is out.
        dist.barrier()
        os._exit(0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True, help="folder with train-images-idx3-ubyte.gz and its labels")
    parser.add_argument("--threads", type=int, default=2, help="intra-op threads of each rank")
    parser.add_argument("--world-size", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=100, help="global batch size")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--warmup-steps", type=int, default=5)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true", help="torch.compile of network and losses, one rank")
    parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16")
    parser.add_argument("--evaluate", action="store_true", help="also the pace of a pass over the test set")
    arguments = parser.parse_args()
    if arguments.world_size == 1:
        run(0, arguments, None)
        return
    # A host name that does not resolve would otherwise stop Gloo on one machine.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    os.environ.setdefault("OMP_NUM_THREADS", str(arguments.threads))
    with tempfile.TemporaryDirectory() as directory:
        mp.spawn(run, (arguments, os.path.join(directory, "store")), nprocs=arguments.world_size)


if __name__ == "__main__":
    main()
