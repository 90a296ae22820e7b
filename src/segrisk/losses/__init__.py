"""Losses, each a form of one idea: see `segrisk.similarity`."""

from segrisk.losses.base import Family as Family
from segrisk.losses.base import Loss as Loss
from segrisk.losses.base import Sum as Sum
from segrisk.losses.door import check as check
from segrisk.losses.lovasz import Lovasz as Lovasz
from segrisk.losses.lovasz import LovaszJaccard as LovaszJaccard
from segrisk.losses.pointwise import CrossEntropy as CrossEntropy
from segrisk.losses.pointwise import Focal as Focal
from segrisk.losses.pointwise import TopK as TopK
from segrisk.losses.pointwise import WeightedCrossEntropy as WeightedCrossEntropy
from segrisk.losses.soft import Soft as Soft
from segrisk.losses.soft import SoftDice as SoftDice
from segrisk.losses.soft import SoftJaccard as SoftJaccard
from segrisk.losses.soft import SoftTversky as SoftTversky
from segrisk.losses.soft import log as log
from segrisk.losses.soft import power as power
from segrisk.losses.spellings import like_monai as like_monai
from segrisk.losses.spellings import like_nnunet as like_nnunet
from segrisk.losses.spellings import like_smp as like_smp
from segrisk.losses.spellings.forms import Smoothed as Smoothed
from segrisk.losses.supervision import DeepSupervision as DeepSupervision

LOSSES: dict[str, type[Loss]] = {
    "cross_entropy": CrossEntropy,
    "weighted_cross_entropy": WeightedCrossEntropy,
    "soft_dice": SoftDice,
    "soft_jaccard": SoftJaccard,
    "lovasz_sigmoid": LovaszJaccard,
    "soft_tversky": SoftTversky,
    "focal": Focal,
    "top_k": TopK,
}
"""Losses by the names that a study file gives them."""

PAPER = ("cross_entropy", "weighted_cross_entropy", "soft_dice", "soft_jaccard", "lovasz_sigmoid")
"""The five losses that the paper compares."""
