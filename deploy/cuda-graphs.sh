#!/usr/bin/env bash
# Builds the library that records steps as CUDA graphs, .libtorch/libconcentric_graphs.so; workers on a GPU find it there.
#
#   deploy/cuda-graphs.sh               fetches the CUDA headers from the Python package index; no GPU, nvcc or root needed
#   CUDA_HOME=/usr/local/cuda deploy/…  takes the headers of that CUDA 13 instead
#   … FILE                              builds FILE instead, e.g. to lie beside an installed worker
#
# Needs what deploy/libtorch.sh leaves, or LIBTORCH.
set -euo pipefail

project=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
libtorch=${LIBTORCH:-$project/.libtorch/torch}
library=${1:-$project/.libtorch/libconcentric_graphs.so}
readonly PACKAGES=(nvidia-cuda-runtime==13.0.96 nvidia-cuda-crt==13.0.88 nvidia-cuda-cccl==13.0.85)

fail() {
    printf 'cuda-graphs: error: %s\n' "$@" >&2
    exit 1
}

[[ -e $libtorch/include/ATen/cuda/CUDAGraph.h && -e $libtorch/lib/libtorch_cuda.so ]] || fail \
    "no libtorch with CUDA at $libtorch" "run deploy/libtorch.sh once, or set LIBTORCH to a libtorch 2.11.0 for CUDA"

if [[ -n ${CUDA_HOME:-} ]]; then
    include=$CUDA_HOME/include
else
    headers=$project/.libtorch/cuda-headers
    include=$headers/nvidia/cu13/include
    if [[ ! -e $headers/ready ]]; then
        rm -rf "$headers"
        python=$project/.libtorch/venv/bin/python
        [[ -x $python ]] || python=python3
        "$python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$headers" "${PACKAGES[@]}" || fail \
            "the CUDA headers cannot be fetched" "set CUDA_HOME to a CUDA 13 whose include/cuda_runtime_api.h is there"
        touch "$headers/ready"
    fi
fi
[[ -e $include/cuda_runtime_api.h ]] || fail "$include has no cuda_runtime_api.h"

mkdir -p "$(dirname "$library")"
"${CXX:-g++}" -std=c++17 -O2 -fPIC -shared -fvisibility=hidden -D_GLIBCXX_USE_CXX11_ABI=1 -Wall -Wextra \
    -isystem "$libtorch/include" -isystem "$include" \
    "$project/worker/bridge/graphs/cuda.cpp" "$project/worker/bridge/error.cpp" -o "$library.new" \
    -L"$libtorch/lib" -Wl,--no-undefined -Wl,--unresolved-symbols=ignore-in-shared-libs \
    -ltorch_cuda -lc10_cuda -ltorch_cpu -lc10
mv -f "$library.new" "$library"
printf 'cuda-graphs: %s\n' "$library" >&2
