#!/usr/bin/env bash
# Brings libtorch 2.11.0 into .libtorch/ of this project, once; quick when it is there.
#
#   deploy/libtorch.sh            the wheel from the Python package index; no root needed
#   deploy/libtorch.sh cuda       with the CUDA libraries, whether or not there is a GPU here (cpu: without)
#   LIBTORCH=/path deploy/…       uses that libtorch instead (the folder that holds include/ and lib/)
#   LIBTORCH_FLAVOR=cpu|cuda …    overrides the search for an NVIDIA GPU
#   PYTHON=/path/to/python …      overrides the choice of Python (3.10 … 3.14)
#
# Leaves .libtorch/torch, a link to the folder that .cargo/config.toml gives to the build. A GPU
# machine gets the same wheel with its CUDA libraries. Remove .libtorch to start afresh.
set -euo pipefail

readonly VERSION=2.11.0
readonly CPU_PACKAGES=("torch==$VERSION" nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85)
readonly CUDA_PACKAGES=("torch==$VERSION")
readonly CPU_GIGABYTES=4 CUDA_GIGABYTES=12

project=${BASH_SOURCE[0]%/*}/..
[[ ${BASH_SOURCE[0]} == */* ]] || project=..
home=$(cd "$project" && pwd)/.libtorch
readonly project home
readonly link=$home/torch stamp=$home/ready
readonly flavor_asked=${1:-${LIBTORCH_FLAVOR:-}}

say() { printf 'libtorch: %s\n' "$*" >&2; }

fail() {
    say "error: $1"
    shift
    local line
    for line in "$@"; do printf '          %s\n' "$line" >&2; done
    exit 1
}

# --- what is wanted -------------------------------------------------------------------------------

has_gpu() {
    [[ -e /dev/nvidia0 || -e /dev/dxg ]] && return 0
    command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU
}

wanted_flavor() {
    case ${flavor_asked:-} in
        cpu | cuda) echo "$flavor_asked" ;;
        '') if has_gpu; then echo cuda; else echo cpu; fi ;;
        *) fail "'$flavor_asked' is asked for (as argument or LIBTORCH_FLAVOR); it is cpu or cuda" ;;
    esac
}

# Whether what an earlier run finished is what is wanted now. A libtorch once given by LIBTORCH
# stays, and CUDA libraries do no harm on a machine without a GPU.
is_ready() {
    local version flavor source
    [[ -r $stamp ]] || return 1
    read -r version flavor source <"$stamp" || return 1
    [[ $version == "$VERSION" && -e $link/lib/libtorch_cpu.so && -e $link/lib/libc10.so ]] || return 1
    if [[ -n ${LIBTORCH:-} ]]; then [[ $link -ef $LIBTORCH ]]; return; fi
    [[ $flavor == given && -e $source || $flavor == cuda || $flavor == "$(wanted_flavor)" ]]
}

# --- what was got ---------------------------------------------------------------------------------

version_of() {
    if [[ -r $1/build-version ]]; then
        read -r version <"$1/build-version"
    elif [[ -r $1/version.py ]]; then
        version=$(sed -n "s/^__version__ = '\(.*\)'.*/\1/p" "$1/version.py")
    else
        version=unknown
    fi
    echo "${version%%+*}"
}

# Sets `problem` to what is wrong with the libtorch at $1, or to nothing.
inspect() {
    local file version missing
    problem=
    for file in lib/libtorch_cpu.so lib/libc10.so include/torch/csrc/api/include/torch/torch.h \
        include/torch/csrc/distributed/c10d/ProcessGroupGloo.hpp; do
        if [[ ! -e $1/$file ]]; then problem="$1 has no $file"; return; fi
    done
    version=$(version_of "$1")
    if [[ $version != "$VERSION" ]]; then problem="$1 is version $version, not $VERSION"; return; fi
    if ! grep -qa '_ZN3c105ErrorC[12]E.*NSt7__cxx1112basic_string' "$1/lib/libc10.so"; then
        problem="$1 is built with the old C++ ABI (it has to be the cxx11 one)"
        return
    fi
    missing=$(ldd "$1/lib/libtorch_cpu.so" 2>/dev/null | sed -n 's/^\s*\(\S*\) => not found/\1/p')
    if [[ -n $missing ]]; then problem="libtorch_cpu.so does not find ${missing//$'\n'/, }"; fi
}

finish() { # flavor, folder
    ln -sfn "$2" "$link"
    printf '%s %s %s\n' "$VERSION" "$1" "$2" >"$stamp.new"
    mv -f "$stamp.new" "$stamp"
}

# --- ways to get it -------------------------------------------------------------------------------

use_given() {
    [[ -d $LIBTORCH ]] || fail "LIBTORCH is $LIBTORCH, which is not a folder"
    local folder
    folder=$(cd "$LIBTORCH" && pwd)
    inspect "$folder"
    [[ -z $problem ]] || fail "$problem" "Point LIBTORCH at a libtorch $VERSION, or unset it to have one downloaded."
    finish given "$folder"
    say "uses $folder"
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10 python3.14}; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python 3.10 … 3.14 found${PYTHON:+ at $PYTHON}; it only fetches libtorch, nothing else runs it" \
        "Install one (Debian, Ubuntu: apt install python3 python3-venv), set PYTHON," \
        "or set LIBTORCH to a libtorch $VERSION you have."
}

require_space() { # gigabytes
    local kilobytes
    kilobytes=$(df -Pk "$home" | awk 'NR == 2 { print $4 }')
    ((kilobytes >= $1 * 1000000)) || fail \
        "$home needs $1 GB of free disk space, there are $((kilobytes / 1000000)) GB"
}

make_environment() {
    local python
    python=$(find_python)
    rm -rf "$home/venv"
    "$python" -m venv "$home/venv" >"$home/log" 2>&1 || fail \
        "'$python -m venv' failed: $(tail -n 1 "$home/log")" \
        "Debian and Ubuntu keep a part of Python apart: apt install python3-venv" \
        "(the whole message is in $home/log)"
}

download() { # flavor
    local packages gigabytes options=()
    if [[ $1 == cuda ]]; then
        packages=("${CUDA_PACKAGES[@]}") gigabytes=$CUDA_GIGABYTES
    else
        packages=("${CPU_PACKAGES[@]}") gigabytes=$CPU_GIGABYTES options=(--no-deps)
    fi
    require_space "$gigabytes"
    # Without a stamp an earlier run was interrupted: its half-written files are not trusted. What
    # it had downloaded comes from pip's cache.
    if [[ ! -e $stamp || ! -x $home/venv/bin/python ]]; then make_environment; fi
    rm -f "$stamp"
    local started=$SECONDS
    say "fetches ${packages[*]} ($1) into $home, once; this takes a while …"
    show_seconds
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 "$home/venv/bin/python" -m pip install \
        --quiet --progress-bar off "${options[@]}" "${packages[@]}" >"$home/log" 2>&1 \
        || explain_pip
    local folder
    folder=$(echo "$home"/venv/lib/python3*/site-packages/torch)
    inspect "$folder"
    [[ -z $problem ]] || fail "$problem" "Remove $home and try again; $home/log has what pip said."
    finish "$1" "venv/${folder#"$home/venv/"}"
    say "ready after $((SECONDS - started)) s"
}

# On a terminal, a line that counts while pip is silent; ends with the script at the latest.
show_seconds() {
    [[ -t 2 ]] || return 0
    (
        while sleep 1; do printf '\rlibtorch: %d s ' "$((SECONDS - started))" >&2; done
    ) 9>&- &
    ticker=$!
    trap 'kill "$ticker" 2>/dev/null; printf "\r\033[K" >&2' EXIT
}

explain_pip() {
    if grep -q 'No space left' "$home/log"; then
        fail "the disk is full" "pip also needs room in ${TMPDIR:-/tmp}; another place can be set with TMPDIR."
    elif grep -qE 'ConnectionError|Timeout|ProxyError|SSLError|name resolution|versions: none' "$home/log"; then
        fail "the Python package index is out of reach, or has no torch for $(uname -sm)" \
            "pip said: $(tail -n 1 "$home/log")" \
            "Check the network (HTTPS_PROXY, PIP_INDEX_URL), or set LIBTORCH to a libtorch $VERSION you have."
    elif grep -q 'No matching distribution' "$home/log"; then
        fail "the package index has no ${CPU_PACKAGES[0]} for $(uname -sm) and $("$home/venv/bin/python" -V)" \
            "Set PYTHON to another Python (3.10 … 3.14), or LIBTORCH to a libtorch $VERSION you have."
    fi
    fail "pip failed: $(tail -n 1 "$home/log")" "(the whole message is in $home/log)"
}

main() {
    wanted_flavor >/dev/null
    if is_ready; then return; fi
    mkdir -p "$home" 2>/dev/null || fail "cannot create $home"
    command -v flock >/dev/null || fail "flock is missing (Debian, Ubuntu: apt install util-linux)"
    exec 9>"$home/lock"
    if ! flock -n 9; then
        say "another one is at work, waiting for it"
        flock 9
    fi
    if is_ready; then return; fi
    if [[ -n ${LIBTORCH:-} ]]; then
        use_given
    else
        local flavor
        flavor=$(wanted_flavor)
        download "$flavor"
    fi
}

main
