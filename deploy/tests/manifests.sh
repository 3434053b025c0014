#!/usr/bin/env bash
# Renders the Kubernetes overlays, with placeholders for certificates and token, and checks them against Kubernetes' own
# schemas, unknown fields refused; checks the compose files and the systemd units. What cannot be checked here is said in a
# line "skipped: WHAT: WHY".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if ! command -v kubectl >/dev/null; then
    echo "skipped: Kubernetes manifests: no kubectl here to render them"
elif ! { python3 -m venv "$scratch/venv" \
    && "$scratch/venv/bin/python" -m pip install --quiet --disable-pip-version-check kubernetes-validate==1.37.0; }; then
    echo "skipped: Kubernetes manifests: kubernetes-validate cannot be installed here"
else
    cp -r kubernetes "$scratch"
    mkdir -p "$scratch/kubernetes/base/access"
    for file in ca.pem ca.key {coordinator,worker}.{pem,key} join-token; do
        echo "placeholder for $file" >"$scratch/kubernetes/base/access/$file"
    done
    for overlay in cpu gpu; do
        kubectl kustomize "$scratch/kubernetes/overlays/$overlay" >"$scratch/$overlay.yaml"
        "$scratch/venv/bin/kubernetes-validate" --strict --quiet "$scratch/$overlay.yaml"
        echo "kubernetes/overlays/$overlay: $(grep -c '^kind:' "$scratch/$overlay.yaml") objects, valid"
    done
    grep -q 'nvidia.com/gpu: 1' "$scratch/gpu.yaml"
    # Behind TLS and a token, and without the key that makes certificates.
    for line in '  coordinator.key: ' '  worker.key: ' '  join-token: ' 'value: https://coordinator:29400'; do
        grep -q -- "$line" "$scratch/cpu.yaml" || { echo "the manifests lack '$line'" >&2; exit 1; }
    done
    if grep -E 'ca\.key|CONCENTRIC_INSECURE' "$scratch/cpu.yaml"; then
        echo "the manifests give away what they must not" >&2
        exit 1
    fi
fi

compose=
if docker compose version >/dev/null 2>&1; then
    compose="docker compose"
elif command -v docker-compose >/dev/null; then
    compose=docker-compose
else
    echo "skipped: compose file: no Compose here"
fi
for profile in cpu gpu; do
    # shellcheck disable=SC2086 # words of a command
    [[ -z $compose ]] || $compose -f compose.yaml --profile "$profile" config --quiet
done

if command -v systemd-analyze >/dev/null; then
    systemd-analyze verify systemd/*.service
else
    echo "skipped: systemd units: no systemd-analyze here"
fi
