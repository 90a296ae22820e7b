"""Lets torchvision from PyPI, which was compiled for CUDA, be imported beside PyTorch for CPUs.

timm, which nnU-Net imports, imports torchvision and uses none of these operators.
"""

import torch

OPERATORS = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    OPERATORS.define(f"{name}(Tensor boxes) -> Tensor")
