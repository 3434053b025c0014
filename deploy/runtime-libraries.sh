#!/usr/bin/env bash
# Copies what a worker loads at run time out of what deploy/libtorch.sh left: the libraries, without headers, Python and
# symbols, laid out as there, so that they find each other.
#
#   deploy/runtime-libraries.sh cpu|cuda .libtorch /opt/libtorch
set -euo pipefail

readonly flavor=$1 from=$2/torch to=$3
[[ $flavor == cpu || $flavor == cuda ]] || { echo "the flavor is '$flavor'; it is cpu or cuda" >&2; exit 1; }
packages=$(cd "$(readlink -f "$from")/.." && pwd)
readonly packages

# Of the packages' folder, e.g. torch/lib/libc10.so.
take() {
    install -D -m 755 "$packages/$1" "$to/$1"
    # Symbols are for debuggers; NVIDIA's libraries come without.
    [[ $1 == nvidia/* ]] || strip --strip-unneeded "$to/$1"
}

for library in torch/lib/{libtorch_cpu.so,libc10.so,libgomp.so.1} nvidia/cu13/lib/{libcudart.so.13,libcupti.so.13}; do
    take "$library"
done
if [[ $flavor == cuda ]]; then
    while IFS= read -r library; do
        [[ -e $to/$library ]] || take "$library"
    done < <(cd "$packages" && find torch/lib nvidia -name '*.so*' -type f ! -name '*python*' ! -name 'libshm*')
fi

# What is missing shows here, not at the first start.
missing=$(ldd "$to"/torch/lib/libtorch_cpu.so | sed -n 's/^\s*\(\S*\) => not found/\1/p')
[[ -z $missing ]] || { echo "libtorch_cpu.so does not find ${missing//$'\n'/, }" >&2; exit 1; }
du -sh "$to"
