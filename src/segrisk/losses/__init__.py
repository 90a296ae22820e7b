"""Losses, each a form of one idea: see `segrisk.similarity`."""

from segrisk.losses.base import Family as Family
from segrisk.losses.base import Loss as Loss
from segrisk.losses.base import Sum as Sum
from segrisk.losses.door import check as check
from segrisk.losses.linter import Explanation as Explanation
from segrisk.losses.linter import Use as Use
from segrisk.losses.linter import explain as explain
from segrisk.losses.lovasz import Lovasz as Lovasz
from segrisk.losses.lovasz import LovaszJaccard as LovaszJaccard
from segrisk.losses.pointwise import CrossEntropy as CrossEntropy
from segrisk.losses.pointwise import Focal as Focal
from segrisk.losses.pointwise import TopK as TopK
from segrisk.losses.pointwise import WeightedCrossEntropy as WeightedCrossEntropy
from segrisk.losses.registry import LOSSES as LOSSES
from segrisk.losses.registry import PAPER as PAPER
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
