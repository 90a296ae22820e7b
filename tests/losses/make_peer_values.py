"""Make `peer_values.json`: values and gradients of other libraries' losses, with their versions.

They are installed beside the environment of the tests, without what they depend on, and their
losses are loaded alone:

    pip install --no-deps --target PEERS segmentation-models-pytorch==0.6.0 nnunetv2==2.8.1 \
        kornia==0.9.0 kornia_rs==0.2.0
    PYTHONPATH=PEERS python tests/losses/make_peer_values.py
"""

import importlib
import importlib.util
import json
import sys
import types
from importlib.metadata import version
from pathlib import Path

import torch

STORE = Path(__file__).with_name("peer_values.json")
SMP, NNUNET, KORNIA = "segmentation_models_pytorch", "nnunetv2", "kornia"
DIGITS = 10

SPELLED = [  # library, loss, positional arguments, options, input
    *(
        (SMP, loss, [mode], options, kind)
        for loss in ("DiceLoss", "JaccardLoss", "TverskyLoss")
        for mode, kind in (
            ("binary", "binary"),
            ("binary", "binary_empty"),
            ("multiclass", "classes"),
            ("multilabel", "channels"),
        )
        for options in ({}, {"smooth": 1.0}, {"log_loss": True})
    ),
    (SMP, "TverskyLoss", ["multiclass"], {"alpha": 0.3, "beta": 0.7}, "classes"),
    (SMP, "TverskyLoss", ["multilabel"], {"alpha": 0.2, "beta": 0.9, "smooth": 0.5}, "soft"),
    (SMP, "DiceLoss", ["multilabel"], {}, "soft"),
    (SMP, "DiceLoss", ["multiclass"], {"ignore_index": 2}, "classes"),
    (SMP, "DiceLoss", ["binary"], {"ignore_index": 255}, "binary_ignored"),
    (SMP, "JaccardLoss", ["multilabel"], {"ignore_index": 255}, "channels_ignored"),
    (SMP, "DiceLoss", ["multiclass"], {"class_weights": [1.0, 2.0, 5.0]}, "classes"),
    (SMP, "LovaszLoss", ["binary"], {}, "binary"),
    (SMP, "LovaszLoss", ["binary"], {"per_image": True}, "binary"),
    (SMP, "LovaszLoss", ["binary"], {"per_image": True, "ignore_index": 255}, "binary_ignored"),
    (SMP, "LovaszLoss", ["binary"], {}, "binary_empty"),
    (SMP, "LovaszLoss", ["multilabel"], {}, "channels"),
    (SMP, "LovaszLoss", ["multilabel"], {"per_image": True}, "channels"),
    (SMP, "LovaszLoss", ["multiclass"], {}, "classes"),
    (SMP, "LovaszLoss", ["multiclass"], {"ignore_index": 2}, "classes"),
    (SMP, "FocalLoss", ["binary"], {}, "binary"),
    (SMP, "FocalLoss", ["multilabel"], {"gamma": 1.5}, "channels"),
    *(
        (NNUNET, loss, [activation], {"ddp": False, **options}, kind)
        for loss in ("SoftDiceLoss", "MemoryEfficientSoftDiceLoss")
        for activation, kind in (
            ("softmax", "classes"),
            ("sigmoid", "channels"),
            ("sigmoid", "binary_empty"),
        )
        for options in (
            {},
            {"batch_dice": True, "smooth": 1e-5},
            *([{"do_bg": False, "smooth": 0.0}] if kind != "binary_empty" else []),
        )
    ),
    (NNUNET, "DC_and_CE_loss", [{"ddp": False}, {}], {}, "classes"),
    (
        NNUNET,
        "DC_and_CE_loss",
        [{"batch_dice": True, "do_bg": False, "smooth": 1e-5, "ddp": False}, {}],
        {"weight_ce": 0.5, "weight_dice": 2},
        "classes",
    ),
    (NNUNET, "DC_and_CE_loss", [{"ddp": False}, {}], {"ignore_label": 3}, "classes_ignored"),
    (NNUNET, "DC_and_CE_loss", [{"ddp": False}, {}], {"ignore_label": 2}, "classes"),
    (NNUNET, "DC_and_CE_loss", [{"ddp": False}, {}], {"weight_dice": 0}, "classes"),
    (NNUNET, "DC_and_BCE_loss", [{}, {"ddp": False}], {"weight_ce": 0.3}, "channels"),
    (NNUNET, "DC_and_BCE_loss", [{}, {"batch_dice": True, "ddp": False}], {}, "binary_empty"),
]

OTHERS = [  # what is right and unspelled, or wrong: see test_peers.py
    (KORNIA, "dice_loss", [], {}, "all_present"),
    (KORNIA, "dice_loss", [], {"average": "macro"}, "all_present"),
    (KORNIA, "tversky_loss", [], {"alpha": 0.3, "beta": 0.7}, "all_present"),
    (KORNIA, "tversky_loss", [], {"alpha": 0.7, "beta": 0.3}, "all_present"),
    (KORNIA, "lovasz_softmax_loss", [], {}, "all_present"),
    (KORNIA, "lovasz_softmax_loss", [], {}, "classes"),
    (KORNIA, "lovasz_hinge_loss", [], {}, "binary"),
    (SMP, "DiceLoss", ["multiclass"], {}, "three_of_twenty"),
    (SMP, "FocalLoss", ["multiclass"], {}, "classes"),
    (SMP, "SoftCrossEntropyLoss", [], {}, "classes"),
    (SMP, "SoftBCEWithLogitsLoss", [], {"ignore_index": 255}, "binary_ignored"),
    (SMP, "TverskyLoss", ["binary"], {"gamma": 0.5}, "binary_empty"),
    (NNUNET, "SoftDiceLoss", ["sigmoid"], {"ddp": False}, "lesion"),
    (
        NNUNET,
        "DC_and_BCE_loss",
        [{}, {"ddp": False}],
        {"use_ignore_label": True, "weight_dice": 0},
        "regions",
    ),
]


def inputs() -> dict[str, dict[str, torch.Tensor]]:
    """Logits and targets, two images of 2 × 4 voxels; class 2 is absent from the second."""
    generator = torch.Generator().manual_seed(0)

    def logits(channels):
        return 2 * torch.randn(2, channels, 2, 4, generator=generator, dtype=torch.float64)

    def labels(*shape, high=2):
        return torch.randint(0, high, shape, generator=generator)

    classes = labels(2, 1, 2, 4, high=3)
    classes[1][classes[1] == 2] = 1
    channels, binary = labels(2, 3, 2, 4), labels(2, 1, 2, 4)
    channels[:, 1] = 0
    binary_ignored, channels_ignored = binary.clone(), channels.clone()
    binary_ignored[0, :, :, 0], binary_ignored[1] = 255, 255
    channels_ignored[0, :, 1, 2], channels_ignored[:, 2] = 255, 255
    classes_ignored = classes.clone()
    classes_ignored[0, 0, 1], classes_ignored[1] = 3, 3
    all_present = labels(2, 1, 2, 4, high=3)
    all_present[:, 0, 0, :3] = torch.arange(3)
    three_of_twenty = torch.arange(8).view(1, 1, 2, 4) % 3
    wrong = 40 * torch.nn.functional.one_hot((three_of_twenty[:, 0] + 1) % 3, 20).movedim(-1, 1)
    lesion = torch.zeros(1, 1, 4, 5)
    lesion[..., 0, :] = 1
    regions = torch.cat([channels, (labels(2, 1, 2, 4) > 0).long()], dim=1)
    return {
        "all_present": {"logits": logits(3), "target": all_present},
        "three_of_twenty": {"logits": wrong.double(), "target": three_of_twenty},
        "lesion": {"logits": 60 * lesion.double() - 60, "target": lesion},
        "regions": {"logits": logits(3), "target": regions},
        "binary": {"logits": logits(1), "target": binary},
        "binary_empty": {"logits": logits(1), "target": torch.zeros_like(binary)},
        "binary_ignored": {"logits": logits(1), "target": binary_ignored},
        "classes": {"logits": logits(3), "target": classes},
        "classes_ignored": {"logits": logits(3), "target": classes_ignored},
        "channels": {"logits": logits(3), "target": channels},
        "channels_ignored": {"logits": logits(3), "target": channels_ignored},
        "soft": {
            "logits": logits(3),
            "target": torch.rand(2, 3, 2, 4, generator=generator, dtype=torch.float64),
        },
    }


def alone(package: str, module: str) -> types.ModuleType:
    """A module of a package whose own `__init__` is not run."""
    if package not in sys.modules:
        stub = types.ModuleType(package)
        stub.__path__ = list(importlib.util.find_spec(package).submodule_search_locations)
        sys.modules[package] = stub
    return importlib.import_module(f"{package}.{module}")


def build(library: str, loss: str, args: list, options: dict):
    """The peer's own loss."""
    if library == SMP:
        return getattr(alone(SMP, "losses"), loss)(*args, **options)
    if library == KORNIA:
        function = getattr(importlib.import_module("kornia.losses"), loss)
        return lambda logits, target: function(logits, target[:, 0], *args, **options)
    module = "compound_losses" if loss.startswith("DC") else "dice"
    made = getattr(importlib.import_module(f"nnunetv2.training.loss.{module}"), loss)
    functions = {"sigmoid": torch.sigmoid, "softmax": lambda x: torch.softmax(x, 1)}
    args = [functions.get(arg, arg) if isinstance(arg, str) else dict(arg) for arg in args]
    return made(*args, **options)


def value_and_gradient(loss, logits, target) -> dict:
    if type(loss).__name__ == "LovaszLoss":  # SMP's takes no float64
        logits = logits.float()
    logits = logits.clone().requires_grad_()
    try:
        value = loss(logits, target)
    except (TypeError, ValueError) as error:
        return {"error": type(error).__name__}
    (gradient,) = torch.autograd.grad(value, logits)
    return {"value": numbers(value), "gradient": numbers(gradient)}


def numbers(tensor: torch.Tensor):
    """Nested lists, floats of few digits."""
    if tensor.ndim:
        return [numbers(part) for part in tensor]
    item = tensor.item()
    return float(f"{item:.{DIGITS}g}") if isinstance(item, float) else item


def main() -> None:
    given = inputs()
    rounded = {
        kind: {name: torch.tensor(numbers(part)) for name, part in pair.items()}
        for kind, pair in given.items()
    }
    for pair in rounded.values():
        pair["logits"] = pair["logits"].double()
    cases = []
    for library, loss, args, options, kind in SPELLED + OTHERS:
        target = rounded[kind]["target"]
        if library == SMP and rounded[kind]["logits"].shape[1] > 1 and target.shape[1] == 1:
            target = target[:, 0]
        if loss == "SoftBCEWithLogitsLoss":
            target = target.double()
        made = build(library, loss, args, options)
        case = {"library": library, "loss": loss, "args": args, "options": options, "input": kind}
        case["spelled"] = len(cases) < len(SPELLED)
        cases.append({**case, **value_and_gradient(made, rounded[kind]["logits"], target)})
    store = {
        "made_by": "tests/losses/make_peer_values.py",
        "versions": {name: version(name) for name in (SMP, NNUNET, KORNIA)},
        "torch": torch.__version__,
        "inputs": {
            kind: {name: numbers(part) for name, part in pair.items()}
            for kind, pair in rounded.items()
        },
        "cases": cases,
    }
    lines = [json.dumps(case) for case in cases]
    head = json.dumps({key: value for key, value in store.items() if key != "cases"}, indent=None)
    STORE.write_text(head[:-1] + ',\n"cases": [\n' + ",\n".join(lines) + "\n]}\n")


if __name__ == "__main__":
    main()
