#!/usr/bin/env bash
# A Ray cluster over the nodes of a Slurm allocation, and a study on it:
#
#   sbatch --nodes=4 --gpus-per-node=4 deploy/slurm.sh study.yaml --out /shared/results
#
# What follows the script's name goes to `segrisk study run`. --out must be a folder that all nodes
# share, or object storage. The same command continues after the time limit.

#SBATCH --job-name=segrisk
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
# A node that fails does not end the job: its cells are run again on the others.
#SBATCH --no-kill

set -euo pipefail

if [ "$#" -lt 1 ]; then
  echo "usage: sbatch $0 STUDY.yaml --out FOLDER|URL [options of 'segrisk study run']" >&2
  exit 2
fi
: "${SLURM_JOB_ID:?is not set: start this script with sbatch, or inside salloc}"

# Here is the place for what your cluster needs, such as `module load` or `source .venv/bin/activate`.
command -v ray > /dev/null || {
  echo "ray is not installed here: pip install 'segrisk[ray]' in an environment all nodes see" >&2
  exit 2
}

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
# Jobs that share a node must share neither a port nor a folder for their sockets.
port=$((20000 + SLURM_JOB_ID % 10000))
export RAY_TMPDIR="/tmp/ray-$SLURM_JOB_ID"
export RAY_ADDRESS="$head:$port"
# Without a token, whoever reaches that port could run programs as you.
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token
export RAY_USAGE_STATS_ENABLED=0

# Slurm gives a job some of a node's processors; Ray would count them all. GPUs it counts rightly.
cpus=${SLURM_CPUS_PER_TASK:-1}
node=(--num-cpus "$cpus" --object-store-memory 100000000 --block)
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT

srun --nodes=1 --ntasks=1 --nodelist="$head" --cpus-per-task="$cpus" \
  ray start --head --port "$port" --include-dashboard false "${node[@]}" &
for _ in $(seq 120); do
  (exec 3<> "/dev/tcp/$head/$port") 2> /dev/null && break
  sleep 1
done
others=$((SLURM_JOB_NUM_NODES - 1))
if [ "$others" -gt 0 ]; then
  srun --nodes="$others" --ntasks="$others" --exclude="$head" --cpus-per-task="$cpus" \
    --kill-on-bad-exit=0 ray start --address "$RAY_ADDRESS" "${node[@]}" &
fi

# This script runs on the first node, the head. Nodes that join later are used as they come.
segrisk study run "$@" --engine ray
