"""Ten cases of the hippocampus set as a data set of nnU-Net: python data.py HIPPOCAMPUS RAW."""

import json
import shutil
import sys
from pathlib import Path

CASES = 10
source, raw = Path(sys.argv[1]), Path(sys.argv[2])
target = raw / "Dataset004_Hippocampus"
for folder in ("imagesTr", "labelsTr"):
    (target / folder).mkdir(parents=True, exist_ok=True)
for image in sorted((source / "images").glob("*.nii.gz"))[:CASES]:
    shutil.copy(image, target / "imagesTr")
    label = image.name.replace("_0000", "")
    shutil.copy(source / "labels_multiclass" / label, target / "labelsTr")
description = {
    "channel_names": {"0": "MRI"},
    "labels": {"background": 0, "anterior": 1, "posterior": 2},
    "numTraining": CASES,
    "file_ending": ".nii.gz",
}
(target / "dataset.json").write_text(json.dumps(description))
