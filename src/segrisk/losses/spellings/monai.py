"""MONAI's losses: signatures and values of version 1.6."""

from collections.abc import Callable, Sequence
from typing import Any

from segrisk.losses.base import Loss
from segrisk.losses.door import Activation
from segrisk.losses.pointwise import CrossEntropy, Focal
from segrisk.losses.soft import Soft
from segrisk.losses.spellings.call import refuse, spell
from segrisk.losses.spellings.forms import ByChannels, Smoothed, one_channel, with_every_term
from segrisk.similarity import Similarity, dice, jaccard, tversky

NO_FORMULA = "it is no function of the confusion masses, and nothing here has its value"
REFUSED = {
    "GeneralizedWassersteinDiceLoss": NO_FORMULA,
    "GeneralizedDiceFocalLoss": (
        "its Dice weighs classes by 1 / |y|² inside one ratio, see GeneralizedDiceLoss; use "
        "SoftDice(class_weight=...) + Focal(gamma=2)"
    ),
    "HausdorffDTLoss": NO_FORMULA,
    "LogHausdorffDTLoss": NO_FORMULA,
    "SoftclDiceLoss": NO_FORMULA,
    "SoftDiceclDiceLoss": NO_FORMULA,
    "NACLLoss": NO_FORMULA,
    "MCCLoss": "Soft(kappa), which corrects for chance too, is what comes nearest",
    "AsymmetricUnifiedFocalLoss": NO_FORMULA,
    "DeepSupervisionLoss": (
        "wrap the loss itself, DeepSupervision(like_monai(...)), which divides by the sum of its "
        "weights where MONAI does not"
    ),
}


def like_monai(name: str, *args: Any, **options: Any) -> Loss:
    """A MONAI loss by its name and in its own words, with its values and gradients.

    Each is `Soft(Smoothed(similarity, smooth_nr, smooth_dr))`, `CrossEntropy`, `Focal`, or their
    sum. It takes logits, so one of `sigmoid` and `softmax` is needed; integer targets where
    MONAI has `to_onehot_y=True`, else targets of the shape of the logits. What is not expressed,
    or is a fault that should not be reproduced, raises and says why. See `docs/spellings.md`.

    >>> import torch
    >>> loss = like_monai("DiceLoss", sigmoid=True)
    >>> print(f"{loss(torch.zeros(1, 1, 4), torch.tensor([[[1, 0, 1, 1]]])):.4f}")
    0.4000
    """
    return spell("MONAI", name, args, options, SPELLINGS, REFUSED)


def _dice_loss(
    include_background: bool = True,
    to_onehot_y: bool = False,
    sigmoid: bool = False,
    softmax: bool = False,
    other_act: Callable[..., Any] | None = None,
    squared_pred: bool = False,
    jaccard: bool = False,
    reduction: str = "mean",
    smooth_nr: float = 1e-5,
    smooth_dr: float = 1e-5,
    batch: bool = False,
    weight: Sequence[float] | None = None,
    soft_label: bool = False,
    ignore_index: int | None = None,
) -> Loss:
    _refuse_reduction(reduction)
    return _ratio(
        _jaccard(smooth_nr, smooth_dr) if jaccard else Smoothed(dice, smooth_nr, smooth_dr),
        _activation(sigmoid, softmax, other_act, to_onehot_y),
        relaxation="squared" if squared_pred else "l1" if soft_label else "product",
        pool=("batch",) if batch else (),
        include_background=include_background,
        to_onehot_y=to_onehot_y,
        weight=weight,
        ignore_index=ignore_index,
    )


def _tversky_loss(
    include_background: bool = True,
    to_onehot_y: bool = False,
    sigmoid: bool = False,
    softmax: bool = False,
    other_act: Callable[..., Any] | None = None,
    alpha: float = 0.5,
    beta: float = 0.5,
    reduction: str = "mean",
    smooth_nr: float = 1e-5,
    smooth_dr: float = 1e-5,
    batch: bool = False,
    soft_label: bool = False,
    ignore_index: int | None = None,
) -> Loss:
    _refuse_reduction(reduction)
    return _ratio(
        Smoothed(tversky(alpha, beta), smooth_nr, smooth_dr),
        _activation(sigmoid, softmax, other_act, to_onehot_y),
        relaxation="l1" if soft_label else "product",
        pool=("batch",) if batch else (),
        include_background=include_background,
        to_onehot_y=to_onehot_y,
        ignore_index=ignore_index,
    )


def _generalized_dice_loss(
    include_background: bool = True,
    to_onehot_y: bool = False,
    sigmoid: bool = False,
    softmax: bool = False,
    other_act: Callable[..., Any] | None = None,
    w_type: str = "square",
    reduction: str = "mean",
    smooth_nr: float = 1e-5,
    smooth_dr: float = 1e-5,
    batch: bool = False,
    soft_label: bool = False,
) -> Loss:
    _refuse_reduction(reduction)
    if str(getattr(w_type, "value", w_type)) != "uniform":
        refuse(
            f"w_type={w_type!r}",
            "classes are weighed by their volume inside one ratio, whose terms of 1 / |y|² the "
            "smoothing swallows in large images, and where a class is absent another's weight is "
            "its own. w_type='uniform' is spelled; SoftDice(), one ratio for each class, balances "
            "classes by itself",
        )
    return _ratio(
        Smoothed(dice, smooth_nr, smooth_dr),
        _activation(sigmoid, softmax, other_act, to_onehot_y),
        relaxation="l1" if soft_label else "product",
        pool=("batch", "class") if batch else ("class",),
        include_background=include_background,
        to_onehot_y=to_onehot_y,
    )


def _focal_loss(
    include_background: bool = True,
    to_onehot_y: bool = False,
    gamma: float = 2.0,
    alpha: float | Sequence[float] | None = None,
    weight: Sequence[float] | None = None,
    reduction: str = "mean",
    use_softmax: bool = False,
    ignore_index: int | None = None,
) -> Loss:
    _refuse_reduction(reduction)
    if not include_background:
        refuse(
            "include_background=False",
            "MONAI drops channel 0 before the activation, so that a softmax no longer knows it; "
            "Focal(gamma) looks at every voxel once",
        )
    if alpha is not None or weight is not None:
        refuse("alpha or weight", "Focal has no weights: use WeightedCrossEntropy")
    if ignore_index is not None:
        refuse(
            f"ignore_index={ignore_index}",
            "MONAI divides the sum over all channels by the voxels of one; Focal(gamma, "
            "ignore_index=...) is a mean over the voxels of each image",
        )
    activation = _activation(not use_softmax, use_softmax, None, to_onehot_y)
    loss = Focal(gamma, activation=activation)
    # MONAI's mean goes over all channels of a voxel, of which one is not 0.
    return ByChannels(loss, lambda channels: 1 / channels) if use_softmax else loss


def _dice_ce_loss(
    include_background: bool = True,
    to_onehot_y: bool = False,
    sigmoid: bool = False,
    softmax: bool = False,
    other_act: Callable[..., Any] | None = None,
    squared_pred: bool = False,
    jaccard: bool = False,
    reduction: str = "mean",
    smooth_nr: float = 1e-5,
    smooth_dr: float = 1e-5,
    batch: bool = False,
    weight: Sequence[float] | None = None,
    lambda_dice: float = 1.0,
    lambda_ce: float = 1.0,
    label_smoothing: float = 0.0,
) -> Loss:
    if weight is not None:
        refuse(
            "weight in DiceCELoss",
            "MONAI divides the cross-entropy by the weights of the batch's voxels, so that its "
            "scale follows the batch's balance; use like_monai('DiceLoss', weight=...) + "
            "WeightedCrossEntropy(weights=...)",
        )
    if label_smoothing:
        refuse(
            f"label_smoothing={label_smoothing}",
            "MONAI smooths the labels of the cross-entropy alone; give soft labels as the target, "
            "with SoftDice() + CrossEntropy(), which are made for them",
        )
    overlap = _dice_loss(
        include_background,
        to_onehot_y,
        sigmoid,
        softmax,
        other_act,
        squared_pred,
        jaccard,
        reduction,
        smooth_nr,
        smooth_dr,
        batch,
    )
    entropy = CrossEntropy(activation="sigmoid" if sigmoid else "softmax")
    if sigmoid:
        why = (
            "MONAI's cross-entropy is then that of a softmax, on labels that overlap; use "
            "like_monai('DiceLoss', sigmoid=True) + CrossEntropy(activation='sigmoid')"
        )
        entropy = ByChannels(entropy, one_channel("DiceCELoss(sigmoid=True)", why))
    return lambda_dice * overlap + lambda_ce * entropy


def _dice_focal_loss(
    include_background: bool = True,
    to_onehot_y: bool = False,
    sigmoid: bool = False,
    softmax: bool = False,
    other_act: Callable[..., Any] | None = None,
    squared_pred: bool = False,
    jaccard: bool = False,
    reduction: str = "mean",
    smooth_nr: float = 1e-5,
    smooth_dr: float = 1e-5,
    batch: bool = False,
    gamma: float = 2.0,
    weight: Sequence[float] | None = None,
    lambda_dice: float = 1.0,
    lambda_focal: float = 1.0,
    alpha: float | None = None,
) -> Loss:
    if softmax:
        refuse(
            "softmax=True in DiceFocalLoss",
            "MONAI's focal part is then that of a sigmoid for each class all the same; use "
            "like_monai('DiceLoss', softmax=True) + Focal(gamma=2)",
        )
    overlap = _dice_loss(
        include_background,
        to_onehot_y,
        sigmoid,
        softmax,
        other_act,
        squared_pred,
        jaccard,
        reduction,
        smooth_nr,
        smooth_dr,
        batch,
    )
    focal = _focal_loss(include_background, gamma=gamma, alpha=alpha, weight=weight)
    return lambda_dice * overlap + lambda_focal * focal


SPELLINGS = {
    "DiceLoss": _dice_loss,
    "MaskedDiceLoss": _dice_loss,  # the mask is the third argument of the call, there and here
    "TverskyLoss": _tversky_loss,
    "GeneralizedDiceLoss": _generalized_dice_loss,
    "FocalLoss": _focal_loss,
    "DiceCELoss": _dice_ce_loss,
    "DiceFocalLoss": _dice_focal_loss,
}


def _jaccard(nr: float, dr: float) -> Similarity:
    # There 2tp / (2tp + 2fp + 2fn), in units of half a voxel.
    return Smoothed(jaccard, nr / 2, dr / 2)


def _ratio(
    similarity: Similarity,
    activation: Activation,
    *,
    relaxation: Any,
    pool: tuple[str, ...],
    include_background: bool,
    to_onehot_y: bool,
    weight: Sequence[float] | None = None,
    ignore_index: int | None = None,
) -> Loss:
    """The mean of one ratio for each image and class, or of pooled ones."""
    weights, factor = _weights(weight, include_background)
    loss: Loss = with_every_term(
        Soft(
            similarity,
            relaxation=relaxation,
            pool=pool,
            background=include_background,
            class_weight=weights,
            activation=activation,
            ignore_index=ignore_index,
        )
    )
    why = (
        "where the target has a channel for each class, MONAI compares ignore_index with the "
        "number of the channel, and here it is a value of the target; give mask= to the call"
    )
    if ignore_index is not None and activation == "sigmoid":
        loss = ByChannels(loss, one_channel(f"ignore_index={ignore_index}", why))
    elif ignore_index is not None and not to_onehot_y:
        refuse(f"ignore_index={ignore_index} without to_onehot_y=True", why)
    return loss if factor == 1 else factor * loss


def _weights(
    weight: Sequence[float] | None, include_background: bool
) -> tuple[list[float] | None, float]:
    """Weights of all channels, and what their normalised mean is multiplied by."""
    if weight is None:
        return None, 1.0
    if not hasattr(weight, "__len__") or getattr(weight, "ndim", 1) == 0:
        refuse(f"weight={weight}, one number", "multiply the loss by it")
    weights = [float(w) for w in weight]
    # MONAI does not weigh a single class, and divides by the number of classes.
    factor = sum(weights) / len(weights) if len(weights) > 1 else 1.0
    return weights if include_background else [0.0, *weights], factor


def _activation(
    sigmoid: bool, softmax: bool, other_act: Callable[..., Any] | None, to_onehot_y: bool
) -> Activation:
    if other_act is not None:
        refuse("other_act", "losses here take logits, through a sigmoid or a softmax")
    if sigmoid == softmax:
        refuse(
            f"sigmoid={sigmoid} with softmax={softmax}",
            "losses here take logits and never probabilities: hand over the logits, and say which "
            "one of the two makes them probabilities",
        )
    if sigmoid and to_onehot_y:
        refuse(
            "sigmoid with to_onehot_y=True",
            "integer classes exclude each other and channels of a sigmoid do not: leave it out "
            "for one channel, and give a target of the shape of the logits for several",
        )
    return "sigmoid" if sigmoid else "softmax"


def _refuse_reduction(reduction: Any) -> None:
    if str(getattr(reduction, "value", reduction)) != "mean":
        refuse(f"reduction={reduction!r}", "every loss here is a mean, one number")
