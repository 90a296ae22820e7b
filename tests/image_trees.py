"""Small sets of images and masks, named, typed and placed as their publishers do."""

import gzip
import json
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

SPACE = (8, 7, 6)
LPS = np.array([[-1.0, 0, 0, 0], [0, -1, 0, 239], [0, 0, 1, 0], [0, 0, 0, 1]])  # as BraTS has it
OBLIQUE = np.array([[0.9, 0.1, 0.0, 10], [-0.1, 0.89, 0.4, -20], [0, -0.1, 5.9, 3], [0, 0, 0, 1]])


def intensities(seed: int, space=SPACE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 900, space).astype(np.int16)


def labels(*values: int, space=SPACE) -> np.ndarray:
    """A mask with a small bar of each value."""
    mask = np.zeros(space, np.uint8)
    for index, value in enumerate(values):
        mask[1 + index, 1:4, 2:4] = value
    return mask


def nifti(path: Path, values: np.ndarray, affine=LPS, scaling=None) -> Path:
    """A volume; with `scaling`, its header says by what the stored numbers are multiplied."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = bytearray(nib.Nifti1Image(values, affine).to_bytes())
    if scaling is not None:
        data[112:120] = np.array(scaling, "<f4").tobytes()
    path.write_bytes(gzip.compress(data, 1) if path.name.endswith(".gz") else bytes(data))
    return path


def picture(path: Path, values: np.ndarray, **save) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **save)
    return path


BEFORE_2023 = ("_", ("flair", "t1", "t1ce", "t2", "seg"))
SINCE_2023 = ("-", ("t2f", "t1n", "t1c", "t2w", "seg"))


def brats_case(folder: Path, naming, values=(1, 2, 4), ending=".nii.gz", seed=0) -> Path:
    """One case: four modalities, int16, and the reference; axes point to left and posterior."""
    mark, kinds = naming
    for number, kind in enumerate(kinds):
        data = labels(*values) if kind == "seg" else intensities(10 * seed + number)
        nifti(folder / f"{folder.name}{mark}{kind}{ending}", data)
    return folder


def brats2018(root: Path) -> Path:
    """MICCAI_BraTS_2018_Data_Training."""
    for seed, name in enumerate(("HGG/Brats18_TCIA04_111_1", "LGG/Brats18_2013_0_1")):
        brats_case(root / name, BEFORE_2023, (1, 2, 4) if seed == 0 else (1, 2), seed=seed)
    (root / "survival_data.csv").write_text("Brats18ID,Age,Survival\n")
    return root


def isles(root: Path, sensor: str, maps: tuple[str, ...], case: str, count: int = 2) -> Path:
    """An archive of SMIR: each map in a folder of its name and number, scaled floats, and 4D."""
    number = 128000 if sensor == "MR" else 345000
    prefix = "VSD.Brain.XX.O." if sensor == "MR" else "SMIR.Brain.XX.O."
    for index in range(1, count + 1):
        for place, kind in enumerate((*maps, f"{sensor}_4DPWI", "OT")):
            number += 1
            name = f"{prefix}{kind}.{number}"
            path = root / f"{case}_{index}" / name / f"{name}.nii"
            if kind == "OT":
                nifti(path, labels(1), OBLIQUE)
            elif kind.endswith("4DPWI"):
                nifti(path, np.zeros((*SPACE, 1, 5), np.int16), OBLIQUE)
            else:
                nifti(path, intensities(index * 10 + place), OBLIQUE, (0.5, -10))
    return root


def dataset(root: Path, **content) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset.json").write_text(json.dumps(content))
    return root


def decathlon(root: Path, names=("prostate_00", "prostate_01")) -> Path:
    """Task05_Prostate: two modalities on the last axis of one float32 file."""
    for seed, name in enumerate(names):
        both = np.stack([intensities(seed), intensities(seed + 5)], -1).astype(np.float32)
        nifti(root / f"imagesTr/{name}.nii.gz", both, OBLIQUE)
        nifti(root / f"labelsTr/{name}.nii.gz", labels(1, 2), OBLIQUE)
        (root / f"imagesTr/._{name}.nii.gz").write_bytes(b"\x00\x05\x16\x07Mac OS X")
    return dataset(
        root,
        modality={"0": "T2", "1": "ADC"},
        labels={"0": "background", "1": "PZ", "2": "TZ"},
        training=[
            {"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in names
        ],
        test=["./imagesTs/prostate_03.nii.gz"],
    )


def nnunet(root: Path, values=(1, 2), names=("p1", "p2"), **content) -> Path:
    """nnUNet_raw/Dataset042_Tumour, of two channels."""
    for seed, name in enumerate(names):
        for channel in range(2):
            path = root / f"imagesTr/{name}_{channel:04d}.nii.gz"
            nifti(path, intensities(seed + 5 * channel))
        nifti(root / f"labelsTr/{name}.nii.gz", labels(*values))
    said = {
        "channel_names": {"0": "T2", "1": "ADC"},
        "labels": {"background": 0, "whole": [1, 2], "core": [2], "ignore": 3},
        "numTraining": len(names),
        "file_ending": ".nii.gz",
    }
    return dataset(root, **{**said, **content})


def qubiq(root: Path, raters: int = 3, targets=("task01",), part: str = "") -> Path:
    """brain-growth: one slice each, and a mask of every rater for every target."""
    space = (9, 8)
    for index in range(1, 3):
        folder = root / part / f"case{index:02d}"
        nifti(folder / "image.nii.gz", intensities(index, space).astype(np.float64), np.eye(4))
        for target in targets:
            for rater in range(raters):
                mask = np.zeros((*space, 1), np.float32)
                mask[1 : 3 + rater, 2:5] = 1
                nifti(folder / f"{target}_seg{rater + 1:02d}.nii.gz", mask, np.eye(4))
    return root
