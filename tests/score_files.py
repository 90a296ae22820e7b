"""Tables of scores as other programs write them."""

import json

NAN = float("nan")


def entry(name, dice, iou, *, key="1", n_ref=10, n_pred=10, folder="/nnUNet_raw/D/labelsTr"):
    tp = min(n_ref, n_pred)
    counts = {"FN": n_ref - tp, "FP": n_pred - tp, "TN": 1000 - n_ref - n_pred + tp, "TP": tp}
    counts |= {"n_ref": n_ref, "n_pred": n_pred}
    return {
        "metrics": {key: {"Dice": dice, "IoU": iou, **counts}},
        "prediction_file": f"/nnUNet_results/D/T__P__C/fold_0/validation/{name}.nii.gz",
        "reference_file": f"{folder}/{name}.nii.gz",
    }


def summary(path, *entries):
    """nnU-Net's summary.json, with the bare NaN that it writes."""
    mean = {"Dice": NAN, "IoU": NAN}
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"foreground_mean": mean, "mean": {"1": mean}, "metric_per_case": list(entries)}
    path.write_text(json.dumps(content, indent=4))
    assert "NaN" in path.read_text()
    return path


def segauge(path, rows):
    config = {"confidence": 0.95, "n_resamples": 2000, "seed": 0}
    content = {"n_cases": len(rows), "config": config, "summary": {}, "subgroups": {}}
    path.write_text(json.dumps({**content, "per_case": rows}))
    return path
