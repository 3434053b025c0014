"""Writes the small files beside it, with the tools that write such files elsewhere.

    python3 -m venv VENV && VENV/bin/pip install numpy==2.4.6 idx2numpy==1.2.3 && VENV/bin/python make.py

Pixels count up from 0 modulo 251 in the order [n, height, width, channels]; each set has its own labels.
"""

import gzip
import io
import os
import tarfile
import zipfile

import idx2numpy
import numpy as np

os.chdir(os.path.dirname(os.path.abspath(__file__)))


def pixels(*shape):
    return (np.arange(np.prod(shape)) % 251).astype(np.uint8).reshape(shape)


def idx(array):
    return idx2numpy.convert_to_string(array)


def write(name, content):
    with open(name, "wb") as file:
        file.write(content)


def npy(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


# IDX: grey, coloured, other integers, floating-point numbers.
write("grey.idx3", idx(pixels(3, 4, 5)))
write("colour.idx4", idx(pixels(3, 4, 5, 3)))
write("rows.idx2", idx(pixels(3, 20)))
write("double.idx3", idx(pixels(3, 4, 5).astype(np.float64)))
write("labels.u1", idx(np.array([2, 0, 1], np.uint8)))
write("labels.i1", idx(np.array([2, 0, 1], np.int8)))
write("labels.i2", idx(np.array([300, 0, 999], np.int16)))
write("labels.i4", idx(np.array([2, 0, 1], np.int32)))
qmnist = np.arange(24, dtype=np.int32).reshape(3, 8)
qmnist[:, 0] = [2, 0, 1]
write("qmnist-labels.idx2", idx(qmnist))

# NumPy: versions, orders of bytes, types.
for version in [(1, 0), (2, 0), (3, 0)]:
    write(f"version{version[0]}.npy", npy(pixels(3, 4, 5), version))
write("planes.npy", npy(np.ascontiguousarray(pixels(3, 4, 5, 3).transpose(0, 3, 1, 2))))
write("rows.npy", npy(pixels(3, 20)))
write("fortran.npy", npy(np.asfortranarray(pixels(3, 4, 5))))
write("wide.npy", npy(pixels(3, 4, 5).astype(">i4")))
write("scaled.npy", npy((pixels(3, 4, 5) / 255).astype(np.float32)))
write("labels-i8.npy", npy(np.array([2, 0, 1], np.int64)))
write("labels-big.npy", npy(np.array([2, 0, 1], ">u2")))
write("labels-column.npy", npy(np.array([[2], [0], [1]], np.uint8)))
write("labels-one-hot.npy", npy(np.eye(3, dtype=np.uint8)))
write("table.npy", npy(np.array([(1, 2)], dtype=[("a", "u1"), ("b", "u1")])))

# As Keras and the Kuzushiji sets are published.
np.savez(
    "mnist.npz",
    x_test=pixels(2, 4, 5),
    x_train=pixels(3, 4, 5),
    y_train=np.array([2, 0, 1], np.uint8),
    y_test=np.array([1, 2], np.uint8),
)
np.savez_compressed("k49-train-imgs.npz", pixels(3, 4, 5))
np.savez_compressed("k49-train-labels.npz", np.array([2, 0, 1], np.uint8))
np.savez_compressed("k49-test-imgs.npz", pixels(2, 4, 5))
np.savez_compressed("k49-test-labels.npz", np.array([1, 2], np.uint8))
write("k49_classmap.csv", "index,codepoint,char\n0,U+3042,あ\n1,U+3044,い\n2,U+309D,ゝ\n".encode())

# EMNIST: images on their side, letters from 1.
with zipfile.ZipFile("gzip.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    for division, first in [("letters", 1), ("digits", 0)]:
        for split, labels in [("train", [3, 0, 1]), ("test", [1, 2])]:
            lying = pixels(len(labels), 4, 5).transpose(0, 2, 1)
            name = f"gzip/emnist-{division}-{split}"
            packed = gzip.compress(idx(np.ascontiguousarray(lying)), mtime=0)
            archive.writestr(f"{name}-images-idx3-ubyte.gz", packed)
            packed = gzip.compress(idx(np.array(labels, np.uint8) + np.uint8(first)), mtime=0)
            archive.writestr(f"{name}-labels-idx1-ubyte.gz", packed)
    letters = "".join(f"{i + 1} {i + 65} {i + 97}\n" for i in range(26))
    archive.writestr("gzip/emnist-letters-mapping.txt", letters)


# CIFAR: records of labels and planes.
def records(labels):
    images = pixels(len(labels), 32, 32, 3).transpose(0, 3, 1, 2).reshape(len(labels), -1)
    return b"".join(bytes(label) + image.tobytes() for label, image in zip(labels, images))


def tar(name, members):
    with tarfile.open(name, "w:gz") as archive:
        for member, content in members:
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


ten = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
folder = "cifar-10-batches-bin"
tar(
    "cifar-10-binary.tar.gz",
    [(f"{folder}/batches.meta.txt", ("\n".join(ten) + "\n\n").encode())]
    + [(f"{folder}/data_batch_{i}.bin", records([[i], [i + 1]])) for i in [2, 1, 3, 5, 4]]
    + [(f"{folder}/test_batch.bin", records([[9]]))],
)
folder = "cifar-100-binary"
tar(
    "cifar-100-binary.tar.gz",
    [(f"{folder}/train.bin", records([[4, 99], [0, 7]])), (f"{folder}/test.bin", records([[1, 3]]))],
)
