"""Small trees of masks, named as programs name them."""

import gzip
import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

AFFINE = np.array([[2.0, 0, 0, -90], [0, 2, 0, -126], [0, 0, 3, -72], [0, 0, 0, 1]])
SPACE = (6, 5, 7)


def ball(values=(1,), space=SPACE, shift=0) -> np.ndarray:
    """A mask with a small object of each value."""
    mask = np.zeros(space, np.uint8)
    for index, value in enumerate(values):
        mask[(index + shift) % space[0], 1:3, ...] = value
    return mask


def write(path: Path, values: np.ndarray | None = None, affine=AFFINE, **save) -> Path:
    """A mask in the format that the name says; a slice of it as a picture."""
    values = ball() if values is None else values
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name.lower()
    if name.endswith(".nii.gz"):
        path.write_bytes(gzip.compress(nib.Nifti1Image(values, affine).to_bytes()))
    elif name.endswith(".nii"):
        path.write_bytes(nib.Nifti1Image(values, affine).to_bytes())
    elif name.endswith(".npy"):
        np.save(path, values)
    elif name.endswith(".npz"):
        with path.open("wb") as file:
            np.savez_compressed(file, **{save.get("key", "mask"): values})
    elif name.endswith((".nrrd", ".mha", ".mhd")):
        write_itk(path, values, affine)
    else:
        flat = values if values.ndim == 2 or values.shape[-1] in (3, 4) else values[..., 0]
        Image.fromarray(flat).save(path, format=save.get("format"))
    return path


def write_itk(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    import SimpleITK

    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(values.T))
    to_lps = np.diag([-1.0, -1.0, 1.0]) @ affine[:3, :3]
    spacing = np.linalg.norm(to_lps, axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((to_lps / spacing).reshape(-1).tolist())
    image.SetOrigin([-affine[0, 3], -affine[1, 3], affine[2, 3]])
    SimpleITK.WriteImage(image, str(path))


def flat(folder: Path, names, ending=".nii.gz", **options) -> Path:
    """A folder with a mask of each name."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names):
        write(folder / f"{name}{ending}", ball(shift=index, **options))
    return folder


def age(path: Path, seconds: float) -> None:
    """Make a file older."""
    now = path.stat().st_mtime
    os.utime(path, (now - seconds, now - seconds))


def nnunet_dataset(root: Path, names, **labels) -> Path:
    """nnUNet_raw/Dataset007_Liver: images, labels and dataset.json of version 2."""
    flat(root / "labelsTr", names)
    for name in names:
        write(root / "imagesTr" / f"{name}_0000.nii.gz")
    content = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, **(labels or {"liver": 1})},
        "numTraining": len(names),
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(content))
    return root


def nnunet_results(root: Path, folds: dict[str, list[str]]) -> Path:
    """nnUNet_results/…/nnUNetTrainer__nnUNetPlans__3d_fullres, with what stands beside masks."""
    for fold, names in folds.items():
        validation = root / f"fold_{fold}" / "validation"
        flat(validation, names)
        for name in names:
            p = np.zeros((2, *SPACE[::-1]), np.float16)
            write(validation / f"{name}.npz", p, key="probabilities")
            (validation / f"{name}.pkl").write_bytes(b"properties")
        (validation / "summary.json").write_text("{}")
        (validation.parent / "checkpoint_final.pth").write_bytes(b"weights")
    (root / "plans.json").write_text("{}")
    return root


def decathlon(root: Path, names) -> Path:
    """Task04_Hippocampus as it is published, with the files that macOS leaves."""
    flat(root / "labelsTr", names)
    for name in names:
        write(root / "imagesTr" / f"{name}.nii.gz")
        for folder in ("imagesTr", "labelsTr"):
            (root / folder / f"._{name}.nii.gz").write_bytes(b"\x00\x05\x16\x07Mac OS X")
    training = [
        {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}
        for name in names
    ]
    labels = {"0": "background", "1": "Anterior", "2": "Posterior"}
    content = {"name": "Hippocampus", "labels": labels, "training": training}
    (root / "dataset.json").write_text(json.dumps(content))
    return root


def bids(root: Path, scans: dict[str, list[str]], desc: str) -> Path:
    """A derivative: sub-01/ses-1/anat/sub-01_ses-1_space-T1w_desc-manual_dseg.nii.gz."""
    for subject, sessions in scans.items():
        for session in sessions:
            folder = root / f"sub-{subject}" / f"ses-{session}" / "anat"
            stem = f"sub-{subject}_ses-{session}_space-T1w_desc-{desc}"
            write(folder / f"{stem}_dseg.nii.gz")
            write(folder / f"{stem}_probseg.nii.gz", ball().astype(np.float32) / 2)
            (folder / f"{stem}_dseg.json").write_text("{}")
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.8.0"}')
    return root
