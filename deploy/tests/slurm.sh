#!/usr/bin/env bash
# Runs deploy/slurm/concentric.sbatch on this machine, with an `srun` that starts the tasks here, and looks for what a run
# leaves: pictures, and certificates and a token that only their owner reads.
#
#   deploy/tests/slurm.sh [PROGRAMS]      the folder of both programs, target/debug unless given
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

programs=$(cd "${1:-target/debug}" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/bin"
cat >"$scratch/bin/srun" <<'END'
#!/usr/bin/env bash
# Every task gets its number, as Slurm gives it.
while [[ $1 == --* ]]; do shift; done
for ((task = 0; task < SLURM_NTASKS; task++)); do SLURM_STEP_ID=0 SLURM_PROCID=$task "$@" & done
wait
END
chmod +x "$scratch/bin/srun"

export PATH=$scratch/bin:$programs:$PATH SLURM_NTASKS=3 CONCENTRIC_PORT=${CONCENTRIC_PORT:-29457}
run() {
    timeout 240 deploy/slurm/concentric.sbatch --run-dir "$scratch/run" --dataset synthetic --train-samples 60 \
        --test-samples 20 --batch-size 20 --logical-shards 4 --threads 1 "$@" 2>&1 | tail -n 3
}
run --epochs 1
[[ -s $scratch/run/pictures/epoch=0.png ]]
# A job that is requeued goes on.
run --epochs 2
[[ -s $scratch/run/pictures/epoch=1.png ]]
for file in ca.key coordinator.key worker.key join-token; do
    [[ $(stat -c %a "$scratch/run/access/$file") == 600 ]]
done
if grep -q INSECURE "$scratch/run/coordinator.log"; then
    echo "slurm: the coordinator stands open" >&2
    exit 1
fi
echo "slurm: two jobs, one run, behind TLS and a token"
