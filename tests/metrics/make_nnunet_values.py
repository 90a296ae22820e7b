"""What nnU-Net says of a small tree of masks, empty ones included, as `nnunet_values.json`.

Run by hand where nnunetv2 and SimpleITK are installed: it needs more than the tests may ask for.
"""

import json
import tempfile
from importlib.metadata import version
from pathlib import Path

import nibabel
import numpy as np

SPACE = (5, 4, 3)
REGIONS = [1, 2, (1, 2)]
IGNORE = 3


def tree() -> dict[str, dict[str, list[int]]]:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, (6, 2, int(np.prod(SPACE))))
    labels[:, 1][labels[:, 1] == IGNORE] = 1  # nobody predicts what is ignored
    labels[0] = 0  # both empty
    labels[1, 0] = 0  # false positives only
    labels[2, 1] = 0  # all missed
    labels[3][labels[3] == 2] = 0  # a class that neither has
    names = [f"case_{index}" for index in range(len(labels))]
    return {
        name: {"reference": pair[0].tolist(), "prediction": pair[1].tolist()}
        for name, pair in zip(names, labels, strict=True)
    }


def main() -> None:
    from nnunetv2.evaluation.evaluate_predictions import compute_metrics_on_folder
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    cases = tree()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in ("reference", "prediction"):
            (folder / kind).mkdir()
            for case, masks in cases.items():
                values = np.array(masks[kind], np.uint8).reshape(SPACE)
                path = folder / kind / f"{case}.nii.gz"
                nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
        compute_metrics_on_folder(
            str(folder / "reference"),
            str(folder / "prediction"),
            str(folder / "summary.json"),
            SimpleITKIO(),
            ".nii.gz",
            REGIONS,
            IGNORE,
            num_processes=1,
        )
        summary = json.loads((folder / "summary.json").read_text())
    per_case = {
        Path(entry["prediction_file"]).name.split(".")[0]: {
            label: [own["Dice"], own["IoU"]] for label, own in entry["metrics"].items()
        }
        for entry in summary["metric_per_case"]
    }
    means = {label: [own["Dice"], own["IoU"]] for label, own in summary["mean"].items()}
    stored = {"nnunetv2": version("nnunetv2"), "space": SPACE, "ignore": IGNORE, "cases": cases}
    stored |= {"per_case": per_case, "mean": means}
    text = json.dumps(stored).replace("NaN", "null")
    (Path(__file__).parent / "nnunet_values.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
