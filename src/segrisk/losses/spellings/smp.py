"""The losses of segmentation_models_pytorch (SMP): signatures and values of version 0.6."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from segrisk.losses.base import Loss
from segrisk.losses.door import Activation
from segrisk.losses.lovasz import Lovasz
from segrisk.losses.pointwise import Focal
from segrisk.losses.soft import Soft
from segrisk.losses.spellings.call import nearest, refuse, spell
from segrisk.losses.spellings.forms import (
    ByChannels,
    Excused,
    Smoothed,
    one_channel,
    with_every_term,
)
from segrisk.similarity import Similarity, dice, jaccard, tversky

Mode = Literal["binary", "multiclass", "multilabel"]
ACTIVATIONS: dict[str, Activation] = {
    "binary": "sigmoid",
    "multiclass": "softmax",
    "multilabel": "sigmoid",
}
REFUSED = {
    "MCCLoss": "Soft(kappa), which corrects for chance too, is what comes nearest",
    "SoftBCEWithLogitsLoss": (
        "without options it is CrossEntropy(activation='sigmoid'); with ignore_index it divides "
        "by the ignored voxels too"
    ),
    "SoftCrossEntropyLoss": (
        "without options it raises in version 0.6, and its mean divides by the ignored voxels too; "
        "use CrossEntropy(ignore_index=...)"
    ),
}


def like_smp(name: str, *args: Any, **options: Any) -> Loss:
    """A loss of segmentation_models_pytorch in its own words, with its values and gradients.

    Its overlap losses pool the batch, take soft labels by `l1`, and let a class that is absent
    from the batch's reference cost nothing, yet keep its place in the mean over classes. `eps`,
    the least denominator, is met by absent classes alone. What is not expressed, or is a fault
    that should not be reproduced, raises and says why. See `docs/spellings.md`.

    >>> import torch
    >>> loss = like_smp("JaccardLoss", "binary")
    >>> print(f"{loss(torch.zeros(1, 1, 4), torch.tensor([[[1, 0, 1, 1]]])):.4f}")
    0.5714
    """
    return spell("SMP", name, args, options, SPELLINGS, REFUSED)


def _dice_loss(
    mode: Mode,
    classes: Sequence[int] | None = None,
    log_loss: bool = False,
    from_logits: bool = True,
    smooth: float = 0.0,
    ignore_index: int | None = None,
    eps: float = 1e-7,
    class_weights: Sequence[float] | None = None,
) -> Loss:
    # There tp / (tp + fp/2 + fn/2): half of ours, above and below.
    similarity = Smoothed(dice, 2 * smooth, 2 * smooth)
    _refuse_eps(eps, 0.5)
    return _ratio(
        similarity, mode, classes, log_loss, from_logits, ignore_index, eps, class_weights
    )


def _jaccard_loss(
    mode: Mode,
    classes: Sequence[int] | None = None,
    log_loss: bool = False,
    from_logits: bool = True,
    smooth: float = 0.0,
    ignore_index: int | None = None,
    eps: float = 1e-7,
    class_weights: Sequence[float] | None = None,
) -> Loss:
    similarity = Smoothed(jaccard, smooth, smooth)
    _refuse_eps(eps, 1.0)
    return _ratio(
        similarity, mode, classes, log_loss, from_logits, ignore_index, eps, class_weights
    )


def _tversky_loss(
    mode: Mode,
    classes: Sequence[int] | None = None,
    log_loss: bool = False,
    from_logits: bool = True,
    smooth: float = 0.0,
    ignore_index: int | None = None,
    eps: float = 1e-7,
    alpha: float = 0.5,
    beta: float = 0.5,
    gamma: float = 1.0,
    class_weights: Sequence[float] | None = None,
) -> Loss:
    if gamma != 1:
        refuse(
            f"gamma={gamma}",
            "SMP takes the power of the mean over classes, whose gradient is infinite at 0 where "
            "gamma < 1; SoftTversky(alpha, beta, curve=power(gamma)) takes it of each class",
        )
    similarity = Smoothed(tversky(alpha, beta), smooth, smooth)
    _refuse_eps(eps, min(1.0, beta))
    return _ratio(
        similarity, mode, classes, log_loss, from_logits, ignore_index, eps, class_weights
    )


def _lovasz_loss(
    mode: Mode,
    per_image: bool = False,
    ignore_index: int | None = None,
    from_logits: bool = True,  # SMP never reads it
) -> Loss:
    if _activation(mode) == "softmax":
        if per_image:
            refuse(
                "per_image=True with mode='multiclass'",
                "SMP takes the mean over the classes of each image first, so that a class counts "
                "for more in an image with few; use LovaszJaccard(empty='skip')",
            )
        return Lovasz(
            jaccard,
            exact=True,
            pool=("batch",),
            empty="skip",
            activation="softmax",
            ignore_index=ignore_index,
        )
    # Smoothed by nothing: where the reference is empty its loss is 1 at the first false voxel.
    return with_every_term(
        Lovasz(
            Smoothed(jaccard, 0, 0),
            errors="hinge",
            pool=("class",) if per_image else ("batch", "class"),
            activation="sigmoid",
            ignore_index=ignore_index,
        )
    )


def _focal_loss(
    mode: Mode,
    alpha: float | None = None,
    gamma: float | None = 2.0,
    ignore_index: int | None = None,
    from_logits: bool = True,
    eps: float = 1e-7,
    reduction: str | None = "mean",
    normalized: bool = False,
    reduced_threshold: float | None = None,
    class_weights: Sequence[float] | None = None,
) -> Loss:
    if _activation(mode) == "softmax":
        refuse(
            "mode='multiclass' in FocalLoss",
            "SMP's is a sigmoid for each class against the rest; Focal(gamma) is the focal loss "
            "of the softmax",
        )
    _refuse_probabilities(from_logits)
    given = {
        "alpha": alpha is not None,
        "ignore_index": ignore_index is not None,
        "reduction": reduction != "mean",
        "normalized": normalized,
        "reduced_threshold": reduced_threshold is not None,
        "class_weights": class_weights is not None,
    }
    for option, is_given in given.items():
        if is_given:
            refuse(
                f"{option} in FocalLoss",
                "Focal(gamma) is the mean of (1 − p_t)^γ·(−log p_t) over the voxels of each "
                "image, and has no further options",
            )
    return _of_mode(Focal(gamma, activation="sigmoid"), mode)


SPELLINGS = {
    "DiceLoss": _dice_loss,
    "JaccardLoss": _jaccard_loss,
    "TverskyLoss": _tversky_loss,
    "LovaszLoss": _lovasz_loss,
    "FocalLoss": _focal_loss,
}


def _ratio(
    similarity: Similarity,
    mode: Mode,
    classes: Sequence[int] | None,
    log_loss: bool,
    from_logits: bool,
    ignore_index: int | None,
    eps: float,
    class_weights: Sequence[float] | None,
) -> Loss:
    """The mean over classes of one ratio of the whole batch."""
    _refuse_probabilities(from_logits)
    if classes is not None:
        chosen = ", ".join("1" if c in classes else "0" for c in range(max(classes) + 2))
        refuse(
            f"classes={list(classes)}",
            f"class_weights, one for each class, says the same: class_weights=[{chosen}, …]",
        )
    loss = Soft(
        Excused(similarity),
        pool=("batch",),
        class_weight=None if class_weights is None else [float(w) for w in class_weights],
        curve=_log_above(eps) if log_loss else None,
        activation=_activation(mode),
        ignore_index=ignore_index,
    )
    return _of_mode(with_every_term(loss), mode)


def _log_above(eps: float) -> Callable[[Tensor], Tensor]:
    """−log S of terms 1 − S, without a gradient where S is below `eps`."""

    def curve(terms: Tensor) -> Tensor:
        return -torch.log((1 - terms).clamp(min=eps))

    return curve


def _of_mode(loss: Loss, mode: Mode) -> Loss:
    why = "use mode='multilabel', or 'multiclass'"
    return ByChannels(loss, one_channel("mode='binary'", why)) if mode == "binary" else loss


def _activation(mode: Mode) -> Activation:
    if mode not in ACTIVATIONS:
        modes = ", ".join(ACTIVATIONS)
        raise ValueError(f"mode must be one of {modes}, got {mode!r}{nearest(mode, ACTIVATIONS)}")
    return ACTIVATIONS[mode]


def _refuse_probabilities(from_logits: bool) -> None:
    if not from_logits:
        refuse("from_logits=False", "losses here take logits and never probabilities")


def _refuse_eps(eps: float, least: float) -> None:
    if not eps <= least:
        refuse(
            f"eps={eps}",
            f"it would clip denominators of classes that are present, which are at least {least:g}",
        )
