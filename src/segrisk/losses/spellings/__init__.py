"""The losses of MONAI, segmentation_models_pytorch and nnU-Net, said in the words of this package.

Each is called with that library's names, order and defaults, and gives its values and gradients.
"""

from segrisk.losses.spellings.monai import like_monai as like_monai
from segrisk.losses.spellings.nnunet import like_nnunet as like_nnunet
from segrisk.losses.spellings.smp import like_smp as like_smp
