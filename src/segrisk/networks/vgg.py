"""VGG-16 with atrous convolutions, from ImageNet: the network of the paper's polyps."""

import warnings
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from torch import Tensor, nn

from segrisk.networks.base import Count, Network
from segrisk.networks.weights import ADDRESS, WeightsWarning, fetched, kept, promised, read

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Filters of the convolutions between poolings."""
HALVED = 3
"""Blocks after which the size is halved; VGG-16 halves after all."""
HEAD = 1024
WEIGHTS = ("imagenet", "random")
"""What `weights` can say besides the path of a file."""


class VGG16(Network):
    """VGG-16 with atrous convolutions as in DeepLab, in 2D, from its weights on ImageNet.

    Bertels, Eelbode et al. say no more than "VGG16 backbone architecture with atrous convolutions
    and pretrained on ImageNet". Chosen here is DeepLab-LargeFOV (Chen et al., arXiv 1412.7062 and
    1606.00915):

    - the 13 convolutions of VGG-16 (Simonyan and Zisserman), of which the last three have rate 2,
      since the last two poolings are 3×3 with stride 1; the first three stay VGG's 2×2;
    - in the place of the first two fully connected layers a 3×3 convolution of 1024 filters with
      rate `rate`, and a 1×1 of 1024, each with ReLU and dropout 1/2; then the logit;
    - logits at an eighth of the size, interpolated linearly to the size of the image;
    - no conditional random field.

    `weights` is `imagenet` (torchvision's file, from PyTorch's cache or else its public address;
    where neither can be reached, random with a warning), `random`, or the path of such a file.
    The head is always random. Images are normalised each by itself, not by ImageNet's mean.

    A filter of the first layer has weights for red, green and blue. For another number C of
    channels each gets their sum / C: equal channels are seen as a grey picture is.

    >>> import torch
    >>> vgg = VGG16(weights="random").build(dimensions=2, channels=1)
    >>> vgg(torch.zeros(1, 1, 16, 24)).shape
    torch.Size([1, 1, 16, 24])
    >>> sum(p.numel() for p in VGG16().build(dimensions=2, channels=3).features.parameters())
    14714688
    """

    dimensions: ClassVar[tuple[int, ...]] = (2,)
    source: ClassVar[str] = "Chen et al. (DeepLab-LargeFOV), weights of torchvision"

    name: Literal["vgg16"] = "vgg16"
    weights: str = "imagenet"
    rate: Count = 12

    @property
    def stride(self) -> int:
        """Every side of the input must be a multiple of this."""
        return 2**HALVED

    @property
    def file(self) -> Path | None:
        """The file that the weights are read from; None for random ones."""
        known = {"random": None, "imagenet": kept()}
        return known[self.weights] if self.weights in known else Path(self.weights)

    def build(self, *, dimensions: int, channels: int) -> nn.Module:
        """The network, with random weights: those of He et al. where a ReLU follows."""
        return _VGG16(channels, self.rate)

    def ready(self) -> Self:
        """Itself once its file is checked; with random weights where ImageNet's cannot be had."""
        if self.weights == "imagenet" and fetched() is None:
            warnings.warn(
                f"{ADDRESS} cannot be reached and {kept()} is not there: the network 'vgg16' "
                "starts from random weights, not from ImageNet; give 'weights: FILE' to change it",
                WeightsWarning,
                stacklevel=2,
            )
            return self.model_copy(update={"weights": "random"})
        if self.file is not None:
            read(self.file, SHAPES)
        return self

    def pretrain(self, module: nn.Module) -> None:
        """Load the convolutions of VGG-16 into what `build` made."""
        if self.file is None:
            return
        features: Any = module.features
        found = read(self.file, SHAPES)
        first = features[0].weight
        found["features.0.weight"] = adapted(found["features.0.weight"], first.shape[1])
        features.load_state_dict({k.removeprefix("features."): v for k, v in found.items()})

    def identity(self) -> dict[str, Any]:
        """All that determines the network: of the weights their hash, not where they are kept."""
        weights = promised(self.file) if self.file is not None else "random"
        return {**self.model_dump(mode="json"), "weights": weights}


def adapted(weight: Tensor, channels: int) -> Tensor:
    """Filters (n, 3, 3, 3) for red, green and blue as filters (n, channels, 3, 3)."""
    if channels == weight.shape[1]:
        return weight
    return (weight.sum(1, keepdim=True) / channels).repeat(1, channels, 1, 1)


class _VGG16(nn.Module):
    def __init__(self, channels: int, rate: int) -> None:
        super().__init__()
        self.features = _features(channels)
        self.head = nn.Sequential(
            nn.Conv2d(BLOCKS[-1][-1], HEAD, 3, padding=rate, dilation=rate),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Conv2d(HEAD, HEAD, 1),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Conv2d(HEAD, 1, 1),
        )
        self.enlarge = nn.Upsample(scale_factor=2**HALVED, mode="bilinear", align_corners=False)
        convolutions = [m for m in self.modules() if isinstance(m, nn.Conv2d)]
        for convolution in convolutions[:-1]:
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            nn.init.zeros_(convolution.bias)

    def forward(self, images: Tensor) -> Tensor:
        return self.enlarge(self.head(self.features(images)))


def _features(channels: int) -> nn.Sequential:
    """The layers of VGG-16 in the order, and so under the names, that torchvision gives them."""
    layers: list[nn.Module] = []
    for block, filters in enumerate(BLOCKS):
        rate = 2 if block > HALVED else 1
        for own in filters:
            layers += [nn.Conv2d(channels, own, 3, padding=rate, dilation=rate)]
            layers += [nn.ReLU(inplace=True)]
            channels = own
        halves = block < HALVED
        layers += [nn.MaxPool2d(2) if halves else nn.MaxPool2d(3, stride=1, padding=1)]
    return nn.Sequential(*layers)


def _shapes() -> dict[str, tuple[int, ...]]:
    """What torchvision calls the tensors of VGG-16's convolutions, and their shapes."""
    found: dict[str, tuple[int, ...]] = {}
    place, before = 0, 3
    for filters in BLOCKS:
        for own in filters:
            found[f"features.{place}.weight"] = (own, before, 3, 3)
            found[f"features.{place}.bias"] = (own,)
            place, before = place + 2, own
        place += 1
    return found


SHAPES = _shapes()
