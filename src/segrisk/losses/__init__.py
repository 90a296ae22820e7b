"""The losses of the paper, each a form of one idea: see `segrisk.similarity`."""

from segrisk.losses.base import Family as Family
from segrisk.losses.base import Loss as Loss
from segrisk.losses.lovasz import LovaszSigmoid as LovaszSigmoid
from segrisk.losses.pointwise import CrossEntropy as CrossEntropy
from segrisk.losses.pointwise import WeightedCrossEntropy as WeightedCrossEntropy
from segrisk.losses.soft import Soft as Soft
from segrisk.losses.soft import SoftDice as SoftDice
from segrisk.losses.soft import SoftJaccard as SoftJaccard

LOSSES: dict[str, type[Loss]] = {
    "cross_entropy": CrossEntropy,
    "weighted_cross_entropy": WeightedCrossEntropy,
    "soft_dice": SoftDice,
    "soft_jaccard": SoftJaccard,
    "lovasz_sigmoid": LovaszSigmoid,
}
