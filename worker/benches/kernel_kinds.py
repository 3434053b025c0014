"""What a kernel on a GPU does, as far as its name tells: the rows of docs/performance.md under a step's time."""

# Parts of a kernel's name, and what such kernels do; the first that fits counts. The order matters: cuDNN
# has kernels of batch normalisation, too, and cuBLAS has reductions.
KINDS = [
    ("batch normalisation", ("batch_norm", "bn_fw", "bn_bw", "batchnorm", "welford", "addcmul")),
    ("PReLU", ("prelu",)),
    ("max-pool", ("max_pool", "maxpool")),
    ("optimizers", ("multi_tensor", "fused_sgd", "sgd")),
    ("convolutions and matrix products", (
        "conv", "wgrad", "dgrad", "fprop", "gemm", "cutlass", "cublas", "splitk", "xmma", "winograd", "fft", "cudnn",
    )),
    ("sums", ("reduce_kernel",)),
    ("copies", ("memcpy", "memset", "copy")),
]
OTHER = "elementwise and the rest"


def kind_of(name):
    """The kind of a kernel of this name."""
    name = name.lower()
    return next((kind for kind, parts in KINDS if any(part in name for part in parts)), OTHER)


def by_kind(times):
    """Sums of `(kernel's name, time)` by kind, every kind in its order."""
    spent = dict.fromkeys([kind for kind, _ in KINDS] + [OTHER], 0.0)
    for name, time in times:
        spent[kind_of(name)] += time
    return spent
