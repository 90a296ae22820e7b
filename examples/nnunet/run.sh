#!/usr/bin/env bash
# Two losses in nnU-Net v2, two short epochs each on a CPU, then decided and compared:
#   examples/nnunet/run.sh HIPPOCAMPUS_FOLDER [WORK_FOLDER]
# The environment of nnU-Net is its own, in WORK_FOLDER; an existing one is used again.
set -euo pipefail
data=$(realpath "${1:?give the folder of the hippocampus set}")
work=$(realpath -m "${2:-nnunet-example}")
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mkdir -p "$work"

if [ ! -e "$work/env/ready" ]; then
  "${PYTHON:-python3}" -m venv "$work/env"
  pip() { "$work/env/bin/python" -m pip install --quiet --constraint "$root/constraints.txt" "$@"; }
  pip torch setuptools wheel
  pip --requirement "$here/imported.txt"
  # acvl-utils is built from source, by the setuptools that were just installed.
  pip --no-deps --no-build-isolation --requirement "$here/requirements.txt"
  pip --editable "$root[compare]"
  if ! "$work/env/bin/python" -c "import torchvision" 2> /dev/null; then
    cp "$here/operators.py" "$("$work/env/bin/python" -c "import site; print(site.getsitepackages()[0])")/sitecustomize.py"
  fi
  touch "$work/env/ready"
fi
export PATH="$work/env/bin:$PATH"

export nnUNet_raw="$work/raw" nnUNet_preprocessed="$work/preprocessed" nnUNet_results="$work/results"
export nnUNet_n_proc_DA=1 nnUNet_def_n_proc=2 nnUNet_compile=f
nnUNet_extTrainer=$(segrisk nnunet folder)
export nnUNet_extTrainer
mkdir -p "$nnUNet_raw" "$nnUNet_preprocessed" "$nnUNet_results"
python "$here/data.py" "$data" "$nnUNet_raw"
nnUNetv2_plan_and_preprocess -d 4 -c 2d -np 2 -npfp 2 --verify_dataset_integrity

export nnUNet_n_proc_DA=0  # planning wants at least one, training on a small machine none
export SEGRISK_EPOCHS=2 SEGRISK_ITERATIONS=${ITERATIONS:-10}
nnUNetv2_train 4 2d 0 -device cpu --npz -tr nnUNetTrainerSegrisk_soft_dice
SEGRISK_LOSS="0.5*cross_entropy + soft_jaccard" SEGRISK_LOSS_OPTIONS="pool=batch" \
  nnUNetv2_train 4 2d 0 -device cpu --npz -tr nnUNetTrainerSegrisk_mixed

base="$nnUNet_results/Dataset004_Hippocampus"
dice="$base/nnUNetTrainerSegrisk_soft_dice__nnUNetPlans__2d"
mixed="$base/nnUNetTrainerSegrisk_mixed__nnUNetPlans__2d"
labels="$nnUNet_raw/Dataset004_Hippocampus"
segrisk decide "$mixed/fold_0/validation" --rule exact --metric dice --out "$work/decided" --overwrite
# Fold 0 alone was trained, so that other cases have no prediction.
segrisk compare --reference "$labels" --model dice="$dice" --model mixed="$mixed" \
  --unpredicted leave-out --out "$work/compared"
