"""Loads a checkpoint written by the trainer into the PyTorch network, as a user would.

    python strict_load.py last.safetensors [cnn|mlp]

`center` belongs to the loss, not to the network, and is taken out first. Every other entry must be there, have the
network's shape and kind of number, and nothing may be left over (`strict=True`). Prints OK, or exits non-zero.
"""

import json
import sys
from pathlib import Path

import torch

from network import CLASSES, NETWORKS

DTYPES = {"F64": torch.float64, "F32": torch.float32, "BF16": torch.bfloat16, "I64": torch.int64}


def read_by_hand(path):
    """The format: eight bytes little-endian header length, a JSON header, then the tensors' bytes."""
    data = bytearray(Path(path).read_bytes())
    header_end = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:header_end]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        # A copy of its own: the bytes of a tensor need not lie on a multiple of its element size.
        values = torch.frombuffer(data[header_end + begin : header_end + end], dtype=DTYPES[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def read(path):
    try:
        from safetensors.torch import load_file
    except ImportError:
        return read_by_hand(path)
    return load_file(path)


def main():
    state = read(sys.argv[1])
    centers = state.pop("center")
    feature_dim = centers.shape[1]
    assert centers.shape == (CLASSES, feature_dim), centers.shape
    kind = sys.argv[2] if len(sys.argv) > 2 else "cnn"
    network = NETWORKS[kind](feature_dim).to(centers.dtype)
    for name, tensor in network.state_dict().items():
        if name in state:
            assert state[name].dtype == tensor.dtype, f"{name}: {state[name].dtype} instead of {tensor.dtype}"
    network.load_state_dict(state, strict=True)
    print("OK")


if __name__ == "__main__":
    main()
