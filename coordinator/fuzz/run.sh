#!/usr/bin/env bash
# Fuzzes every reader of files and messages for so many seconds each, two at a time; fails where one finds something.
#
#   coordinator/fuzz/run.sh 60             every target
#   coordinator/fuzz/run.sh 3600 events    one
#   coordinator/fuzz/run.sh --keep         makes corpus/*.tar.xz anew of what was found to be worth keeping
#
# Needs cargo-fuzz (installed where it is missing) and a C++ compiler; no nightly toolchain. Inputs that reach something
# new are added to grown/, those that break something to artifacts/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Longer inputs show nothing more.
readonly longest=8192
programs=${CARGO_TARGET_DIR:-target}/x86_64-unknown-linux-gnu/release
export programs longest

all_targets() {
    local file
    for file in targets/*.rs; do basename "$file" .rs; done
}

build() {
    command -v cargo-fuzz >/dev/null || cargo install --quiet --locked cargo-fuzz@0.13.2
    # The sanitizers need nightly; what is looked for here are panics, hangs and memory without bounds.
    (cd .. && CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-fuzz/target} cargo fuzz build --sanitizer none)
}

unpack() { # target
    mkdir -p "grown/$1" "artifacts/$1"
    [[ ! -f corpus/$1.tar.xz ]] || tar -xJf "corpus/$1.tar.xz" -C "grown/$1"
}

fuzz() { # target, seconds
    local log=artifacts/$1/log
    if timeout $(($2 + 120)) "$programs/$1" -max_total_time="$2" -max_len="$longest" -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="artifacts/$1/" "grown/$1" "corpus/$1" >"$log" 2>&1; then
        echo "$1: $(grep '^Done' "$log")"
    else
        tail -n 40 "$log"
        echo "$1: found something, see coordinator/fuzz/artifacts/$1" >&2
        return 1
    fi
}
export -f fuzz

keep() {
    local target
    for target in $(all_targets); do
        unpack "$target"
        rm -rf "artifacts/$target.least" && mkdir -p "artifacts/$target.least"
        "$programs/$target" -merge=1 "artifacts/$target.least" "corpus/$target" "grown/$target" 2>/dev/null
        tar -C "artifacts/$target.least" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
            -cJf "corpus/$target.tar.xz" .
    done
}

if [[ ${1:-} == --keep ]]; then
    build
    keep
    exit
fi
readonly seconds=${1:?seconds for each target}
shift
targets=("$@")
((${#targets[@]})) || mapfile -t targets < <(all_targets)
build
for target in "${targets[@]}"; do unpack "$target"; done
printf '%s\n' "${targets[@]}" | xargs -P 2 -I '{}' bash -c "fuzz {} $seconds"
