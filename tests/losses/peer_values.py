"""Reads `peer_values.json`, which `make_peer_values.py` makes."""

import json
from pathlib import Path

import torch

STORE = json.loads(Path(__file__).with_name("peer_values.json").read_text())
CASES = STORE["cases"]


def pair(kind):
    """The logits, float64, and the target of a stored input."""
    given = STORE["inputs"][kind]
    logits = torch.tensor(given["logits"], dtype=torch.float64)
    return logits, torch.tensor(given["target"])


def stored(loss, kind, **options):
    """The case of a loss with just these options on an input."""
    (case,) = (
        case
        for case in CASES
        if (case["loss"], case["input"]) == (loss, kind) and case["options"] == options
    )
    return case


def name(case):
    options = ", ".join(
        [*map(str, case["args"]), *(f"{k}={v}" for k, v in case["options"].items())]
    )
    return f"{case['loss']}({options}) on {case['input']}"
