#!/usr/bin/env bash
# Renders the Kubernetes overlays and checks them against Kubernetes' own schemas, unknown fields refused; checks the
# compose file and the systemd units. What cannot be checked here is said to be skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if ! command -v kubectl >/dev/null; then
    echo "skipped: no kubectl here to render the Kubernetes overlays"
elif ! { python3 -m venv "$scratch/venv" \
    && "$scratch/venv/bin/python" -m pip install --quiet --disable-pip-version-check kubernetes-validate==1.37.0; }; then
    echo "skipped: kubernetes-validate cannot be installed here"
else
    for overlay in cpu gpu; do
        kubectl kustomize "kubernetes/overlays/$overlay" >"$scratch/$overlay.yaml"
        "$scratch/venv/bin/kubernetes-validate" --strict --quiet "$scratch/$overlay.yaml"
        echo "kubernetes/overlays/$overlay: $(grep -c '^kind:' "$scratch/$overlay.yaml") objects, valid"
    done
    grep -q 'nvidia.com/gpu: 1' "$scratch/gpu.yaml"
fi

if docker compose version >/dev/null 2>&1; then
    docker compose -f compose.yaml config --quiet
elif command -v docker-compose >/dev/null; then
    docker-compose -f compose.yaml config --quiet
else
    echo "skipped: no Compose here"
fi

if command -v systemd-analyze >/dev/null; then systemd-analyze verify systemd/*.service; fi
