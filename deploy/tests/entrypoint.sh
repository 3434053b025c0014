#!/usr/bin/env bash
# The worker's entry point in networks of either family, and the coordinator's with a folder of MNIST that is none, with
# stand-ins for what they ask and start.
set -euo pipefail

scratch=$(mktemp -d)
readonly scratch
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/bin" "$scratch/net"

sed "s|/proc/net|$scratch/net|g" "$(dirname "$0")/../worker-entrypoint" >"$scratch/worker-entrypoint"
# 10.89.1.0/24 on eth1, as the kernel writes it.
cat >"$scratch/net/route" <<'END'
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0100590A	0003	0	0	0	00000000	0	0	0
eth0	0000590A	00000000	0001	0	0	0	00FFFFFF	0	0	0
eth1	0001590A	00000000	0001	0	0	0	00FFFFFF	0	0	0
END
cat >"$scratch/net/if_inet6" <<'END'
00000000000000000000000000000001 01 80 10 80       lo
fd000000000000010000000000000007 02 40 00 80     eth0
fd00000000000002000000000000a007 03 40 00 80     eth1
fe8000000000000042fffea000000007 03 40 20 80     eth1
END
cat >"$scratch/bin/worker" <<'END'
#!/bin/sh
echo "${CONCENTRIC_ADVERTISE:-nowhere} ${NCCL_SOCKET_IFNAME:-any}"
END
cat >"$scratch/bin/hostname" <<'END'
#!/bin/sh
echo "$OWN"
END
cat >"$scratch/bin/getent" <<'END'
#!/bin/sh
# Names of another family have no addresses, as with the real one.
for address in $PEERS; do
    case "$1 $address" in
        "ahosts "* | "ahostsv4 "*.*) printf '%s      STREAM peers\n%s      DGRAM\n' "$address" "$address" ;;
    esac
done
END
chmod +x "$scratch"/bin/*

check() { # OWN PEERS EXPECTED
    local said
    said=$(OWN=$1 PEERS=$2 CONCENTRIC_PEERS=peers PATH=$scratch/bin:$PATH sh "$scratch/worker-entrypoint" 2>&1) || true
    [[ $said == "$3" ]] || {
        echo "own addresses '$1', those of the workers' network '$2': '$said' in place of '$3'" >&2
        exit 1
    }
}

check "10.89.0.7 10.89.1.7 " "10.89.1.6 10.89.1.7" "10.89.1.7 =eth1"
check "fd00:0:0:1::7 fd00:0:0:2::a007 " "fd00:0:0:2::a006 fd00:0:0:2::a007" "fd00:0:0:2::a007 =eth1"
check "fd00::1:0:0:0:7 fd00:0:0:2::a007 " "fd00:0:0:2::a007" "fd00:0:0:2::a007 =eth1"
check "10.89.1.7 fd00:0:0:2::a007 " "fd00:0:0:2::a007 10.89.1.7" "10.89.1.7 =eth1"
check "10.89.0.7 " "10.89.1.7" "worker: none of the addresses 10.89.0.7 is one of 'peers', the workers' network"
mkdir "$scratch/mnist"
sed "s|/mnist/|$scratch/mnist/|" "$(dirname "$0")/../coordinator-entrypoint" >"$scratch/coordinator-entrypoint"
# shellcheck disable=SC2016 # The script that is written here expands it.
printf '#!/bin/sh\necho "starts with ${CONCENTRIC_MNIST_DIR:-downloads} $*"\n' >"$scratch/bin/coordinator"
chmod +x "$scratch/bin/coordinator"
begin() { # FOLDER [ARGUMENT …]
    # The folder inside the container is empty as long as the host's holds nothing.
    MNIST_OF_HOST=$1 CONCENTRIC_MNIST_DIR='' PATH=$scratch/bin:$PATH sh "$scratch/coordinator-entrypoint" "${@:2}" 2>&1 || true
}
expect() { # SAID EXPECTED
    [[ $1 == "$2"* ]] || {
        echo "'$1' in place of '$2…'" >&2
        exit 1
    }
}
expect "$(begin '')" "starts with downloads"
expect "$(begin ./mnist)" "coordinator: CONCENTRIC_MNIST_DIR=./mnist holds no MNIST"
expect "$(begin ./mnist audit /runs/run)" "starts with downloads audit"
touch "$scratch/mnist/train-images-idx3-ubyte"
expect "$(begin ./mnist)" "starts with /mnist"

echo "the worker finds its network, IPv4 or IPv6; the coordinator refuses a folder of MNIST that holds none"
