"""nnU-Net's losses: signatures and values of nnunetv2 2.8."""

from collections.abc import Callable, Mapping
from typing import Any

import torch.distributed as dist
from torch import Tensor

from segrisk.losses.base import Loss, Sum
from segrisk.losses.door import Activation
from segrisk.losses.pointwise import CrossEntropy
from segrisk.losses.soft import Soft
from segrisk.losses.spellings.call import nearest, refuse, spell
from segrisk.losses.spellings.forms import Smoothed, with_every_term
from segrisk.similarity import dice

ACTIVATIONS: dict[str, Activation] = {
    "softmax_helper_dim1": "softmax",
    "softmax": "softmax",
    "sigmoid": "sigmoid",
}
REFUSED = {
    "DC_and_topk_loss": (
        "it takes the worst voxels of the whole batch, so that one image may have them all; use "
        "like_nnunet('SoftDiceLoss', 'softmax') + TopK(k=0.1), which takes them of each image"
    ),
    "TopKLoss": (
        "it takes the worst voxels of the whole batch, so that one image may have them all; "
        "TopK(k=0.1) takes them of each image"
    ),
    "RobustCrossEntropyLoss": "it is CrossEntropy(pool=('batch',), ignore_index=...)",
    "DeepSupervisionWrapper": (
        "wrap the loss itself: DeepSupervision(like_nnunet(...), weights=...), which makes the "
        "targets of lower resolution by itself"
    ),
}


def like_nnunet(name: str, *args: Any, **options: Any) -> Loss:
    """A loss of nnU-Net in its own words, with its values, sign included, and gradients.

    Dice is `Soft(Smoothed(dice, smooth, smooth))` less 1, so that it is negative, as there.
    `apply_nonlin` and `dice_class` are nnU-Net's functions and classes, or their names. With
    `ddp` and `batch_dice` the batch is pooled over all processes. What is not expressed, or is a
    fault that should not be reproduced, raises and says why. See `docs/spellings.md`.

    >>> import torch
    >>> loss = like_nnunet("MemoryEfficientSoftDiceLoss", torch.sigmoid, smooth=0)
    >>> print(f"{loss(torch.zeros(1, 1, 4), torch.tensor([[[1, 0, 1, 1]]])):.4f}")
    -0.6000
    """
    return spell("nnU-Net", name, args, options, SPELLINGS, REFUSED)


def negative(terms: Tensor) -> Tensor:
    """−S of each term 1 − S."""
    return terms - 1


def _soft_dice_loss(
    apply_nonlin: Callable[..., Any] | str | None = None,
    batch_dice: bool = False,
    do_bg: bool = True,
    smooth: float = 1.0,
    ddp: bool = True,
    clip_tp: float | None = None,
) -> Loss:
    if clip_tp is not None:
        refuse(f"clip_tp={clip_tp}", "below it the hits of a class give no gradient")
    return _memory_efficient_soft_dice_loss(apply_nonlin, batch_dice, do_bg, smooth, ddp)


def _memory_efficient_soft_dice_loss(
    apply_nonlin: Callable[..., Any] | str | None = None,
    batch_dice: bool = False,
    do_bg: bool = True,
    smooth: float = 1.0,
    ddp: bool = True,
) -> Loss:
    across = ddp and batch_dice
    if across and not (dist.is_available() and dist.is_initialized()):
        raise ValueError(
            "ddp=True with batch_dice=True pools the batch over all processes, and no process "
            "group is initialised: give ddp=False (nnU-Net's default is True), or initialise one"
        )
    return with_every_term(
        Soft(
            Smoothed(dice, smooth, smooth),
            relaxation="product",
            pool=("batch",) if batch_dice else (),
            background=do_bg,
            curve=negative,
            activation=_activation(apply_nonlin),
            group=dist.group.WORLD if across else None,
        )
    )


def _dc_and_ce_loss(
    soft_dice_kwargs: Mapping[str, Any],
    ce_kwargs: Mapping[str, Any],
    weight_ce: float = 1,
    weight_dice: float = 1,
    ignore_label: int | None = None,
    dice_class: Any = "SoftDiceLoss",
) -> Loss:
    _refuse_all(
        {key: value for key, value in ce_kwargs.items() if key != "ignore_index"},
        "ce_kwargs",
        "class weights there divide by the weights of the batch's voxels, and smoothed labels are "
        "the cross-entropy's alone; WeightedCrossEntropy(weights=...) is a plain mean of w·CE",
    )
    overlap = _of_class(dice_class, "softmax", soft_dice_kwargs, ignore_label)
    ignore = ce_kwargs.get("ignore_index") if ignore_label is None else ignore_label
    entropy = CrossEntropy(pool=("batch",), activation="softmax", ignore_index=ignore)
    return _weighted(weight_ce, entropy, weight_dice, overlap)


def _dc_and_bce_loss(
    bce_kwargs: Mapping[str, Any],
    soft_dice_kwargs: Mapping[str, Any],
    weight_ce: float = 1,
    weight_dice: float = 1,
    use_ignore_label: bool = False,
    dice_class: Any = "MemoryEfficientSoftDiceLoss",
) -> Loss:
    if use_ignore_label:
        refuse(
            "use_ignore_label=True",
            "nnU-Net then sums the cross-entropy over channels and no longer averages it; leave "
            "the last channel out of the target and give it to the call: mask=~ignored",
        )
    _refuse_all(bce_kwargs, "bce_kwargs", "its weights have no counterpart for several channels")
    overlap = _of_class(dice_class, "sigmoid", soft_dice_kwargs)
    return _weighted(weight_ce, CrossEntropy(activation="sigmoid"), weight_dice, overlap)


SPELLINGS = {
    "SoftDiceLoss": _soft_dice_loss,
    "MemoryEfficientSoftDiceLoss": _memory_efficient_soft_dice_loss,
    "DC_and_CE_loss": _dc_and_ce_loss,
    "DC_and_BCE_loss": _dc_and_bce_loss,
}
DICE_CLASSES = {name: SPELLINGS[name] for name in ("SoftDiceLoss", "MemoryEfficientSoftDiceLoss")}


def _of_class(
    dice_class: Any, activation: Activation, kwargs: Mapping[str, Any], ignore: int | None = None
) -> Loss:
    """The Dice part of a compound loss."""
    name = getattr(dice_class, "__name__", dice_class)
    loss = spell("nnU-Net", name, (activation,), dict(kwargs), DICE_CLASSES, {})
    loss.ignore_index = ignore
    return loss


def _weighted(weight_ce: float, entropy: Loss, weight_dice: float, overlap: Loss) -> Loss:
    # A part of weight 0 is not computed, there and here.
    pairs = ((weight_ce, entropy), (weight_dice, overlap))
    return Sum([(weight, loss) for weight, loss in pairs if weight != 0])


def _activation(apply_nonlin: Callable[..., Any] | str | None) -> Activation:
    if apply_nonlin is None:
        refuse("apply_nonlin=None", "losses here take logits and never probabilities")
    name = getattr(apply_nonlin, "__name__", str(apply_nonlin))
    if name not in ACTIVATIONS:
        raise ValueError(
            f"apply_nonlin must be one of {', '.join(ACTIVATIONS)}, got {name!r}"
            f"{nearest(name, ACTIVATIONS)}"
        )
    return ACTIVATIONS[name]


def _refuse_all(options: Mapping[str, Any], where: str, why: str) -> None:
    for option in options:
        refuse(f"{where} with {option!r}", why)
