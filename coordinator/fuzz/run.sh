#!/usr/bin/env bash
# Fuzzes every reader of files and messages for so many seconds each, two at a time; fails where one finds something.
#
#   coordinator/fuzz/run.sh 60             every target
#   coordinator/fuzz/run.sh 3600 events    one
#   coordinator/fuzz/run.sh --keep         makes corpus/*.tar.xz anew of what was found to be worth keeping
#
#   FUZZ_INSTRUMENT=own coordinator/fuzz/run.sh 30    sees only the project's own code, not that of its dependencies, and
#                                                     so builds nothing but that where the tests have been built
#
# Needs a C++ compiler; no nightly toolchain. Inputs that reach something new are added to grown/, those that break
# something to artifacts/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Longer inputs show nothing more.
readonly longest=8192
# What libFuzzer has to see: each edge, by a counter of its own, and what is compared with what. The sanitizers need
# nightly; what is looked for here are panics, hangs and memory without bounds.
COVERAGE="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0 --cfg=fuzzing"
case ${FUZZ_INSTRUMENT:-all} in
    all)
        readonly build_folder=${CARGO_TARGET_DIR:-target} triple=x86_64-unknown-linux-gnu
        programs=$build_folder/$triple/release
        ;;
    own)
        readonly build_folder=${CARGO_TARGET_DIR:-../../target}
        programs=$build_folder/debug
        ;;
    *)
        echo "FUZZ_INSTRUMENT is '$FUZZ_INSTRUMENT'; it is all or own" >&2
        exit 2
        ;;
esac
export COVERAGE programs longest

all_targets() {
    local file
    for file in targets/*.rs; do basename "$file" .rs; done
}

build() {
    if [[ ${FUZZ_INSTRUMENT:-all} == own ]]; then
        RUSTC_WRAPPER=$PWD/instrument cargo build --locked --bins --target-dir "$build_folder"
    else
        # With a target of its own, so that build scripts are not instrumented.
        RUSTFLAGS=$COVERAGE cargo build --locked --bins --release --target "$triple" --target-dir "$build_folder"
    fi
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
