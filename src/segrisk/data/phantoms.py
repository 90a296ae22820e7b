"""Phantoms: seeded families of images that mimic the paper's tasks in what decides the outcome.

What decides is the law of the object's size, the contrast, how clear the border is, and how far
the reference itself errs; not what an organ looks like. See `docs/phantoms.md` for pictures.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from segrisk.data.case import Case

SMALLEST = 16
"""Sides below this many voxels hold no object that has a shape."""


@dataclass(frozen=True)
class Phantom:
    """A family of phantoms. Lengths are shares of the image's side.

    `fraction` sets the balance of foreground and background, `objects` into how many pieces it is
    divided: so the size of an object (fraction / objects) is set apart from the balance.
    """

    name: str
    mimics: str
    """The data set of the paper that the family stands in for."""
    fraction: float
    """The median foreground fraction of a non-empty reference."""
    spread: float
    """The standard deviation of the logarithm of the fraction; 0 gives one size."""
    objects: int = 1
    irregularity: float = 0.0
    """How far a smooth random field bends the border; 0 gives ellipses."""
    contrast: float = 2.0
    """Object minus background, in standard deviations of the noise."""
    blur: float = 0.02
    """The width over which object turns into background."""
    texture: float = 0.0
    """The length over which the noise is correlated; 0 gives white noise."""
    jitter: float = 0.0
    """How far the reference's border strays from the visible one: label noise."""
    distractors: int = 0
    """Bright blobs like the object that the reference does not mark."""
    empty: float = 0.0
    """The share of cases without an object, whose reference is empty."""

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 0.6:
            raise ValueError(
                f"a phantom's fraction must lie between 0 and 0.6, got {self.fraction}"
            )
        if not 0 <= self.empty < 1:
            raise ValueError(f"the share of empty references must be in [0, 1), got {self.empty}")
        if self.objects < 1:
            raise ValueError(f"a phantom has at least 1 object, got {self.objects}")


PHANTOMS = {
    phantom.name: phantom
    for phantom in (
        Phantom(
            "glioma", "BR18: large and irregular", 0.10, 0.45, irregularity=0.12, contrast=2.2,
            blur=0.08, texture=0.015, jitter=0.02, distractors=1,
        ),
        Phantom(
            "stroke", "IS17: tiny and uncertain", 0.012, 0.9, irregularity=0.03, contrast=2.6,
            blur=0.03, texture=0.01, jitter=0.02, distractors=2, empty=0.2,
        ),
        Phantom(
            "infarct", "IS18: small", 0.025, 0.7, irregularity=0.04, contrast=2.8, blur=0.03,
            texture=0.01, jitter=0.012, distractors=1,
        ),
        Phantom(
            "molar", "MO17: regular and of one size", 0.12, 0.08, irregularity=0.02, contrast=3.5,
            blur=0.02, texture=0.01, jitter=0.004,
        ),
        Phantom(
            "polyp", "PO18: of variable size", 0.07, 1.0, irregularity=0.05, contrast=2.6,
            blur=0.04, texture=0.015, jitter=0.01, distractors=2,
        ),
    )
}  # fmt: skip


def phantom_cases(
    phantom: Phantom, count: int, size: tuple[int, ...], *, seed: int = 0
) -> Iterator[Case]:
    """`count` cases of a family, 2D or 3D; each depends on (family, seed, index, size) alone.

    >>> cases = list(phantom_cases(PHANTOMS["molar"], 2, (32, 32)))
    >>> cases[1].id, cases[1].image.shape, cases[1].label.dtype
    ('molar-0001', (1, 32, 32), dtype('bool'))
    """
    if count < 1:
        raise ValueError(f"a phantom task needs at least 1 case, got {count}")
    if len(size) not in {2, 3} or min(size) < SMALLEST:
        raise ValueError(
            f"a phantom's size is 2 or 3 sides of at least {SMALLEST} voxels, got {list(size)}"
        )
    for index in range(count):
        key = (zlib.crc32(phantom.name.encode()), seed, index, *size)
        yield _case(phantom, f"{phantom.name}-{index:04d}", size, np.random.default_rng(key))


def _case(
    phantom: Phantom, name: str, size: tuple[int, ...], generator: np.random.Generator
) -> Case:
    is_empty = generator.random() < phantom.empty
    fraction = float(
        np.clip(phantom.fraction * np.exp(phantom.spread * generator.standard_normal()), 0, 0.6)
    )
    # The noise has streams of its own: a family with more label noise shows the same images.
    shape, noise, blobs, errors = generator.spawn(4)
    height = _landscape(size, phantom.objects, phantom.irregularity, shape)
    # At least two voxels, so that no reference is empty by rounding.
    fraction = max(fraction, 2 / height.size)
    visible = height - np.quantile(height, 1 - fraction)
    bright = np.zeros(size) if is_empty else _step(visible, phantom.blur)
    for _ in range(phantom.distractors):
        other = _landscape(size, 1, phantom.irregularity, blobs)
        share = max(phantom.fraction / phantom.objects * blobs.uniform(0.2, 0.8), 2 / height.size)
        lower = blobs.uniform(0.4, 0.8)
        bright = np.maximum(
            bright, lower * _step(other - np.quantile(other, 1 - share), phantom.blur)
        )
    image = phantom.contrast * bright + _smooth(size, phantom.texture, noise)
    drawn = height + phantom.jitter * _smooth(size, 0.06, errors)
    label = drawn > np.quantile(drawn, 1 - fraction)
    return Case(
        id=name,
        group=name,
        image=image[None].astype(np.float32),
        label=label & (not is_empty),
        spacing_mm=(1.0,) * len(size),
    )


def _landscape(
    size: tuple[int, ...], objects: int, irregularity: float, generator: np.random.Generator
) -> np.ndarray:
    """A field whose upper level sets are `objects` bent ellipses, in units of the side."""
    grid = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n for n in size], indexing="ij"))
    nearest = np.full(size, np.inf)
    for _ in range(objects):
        centre = generator.uniform(0.25, 0.75, len(size))
        stretch = np.exp(generator.uniform(-0.25, 0.25, len(size)))
        axes, _ = np.linalg.qr(generator.standard_normal((len(size), len(size))))
        offset = np.tensordot(
            axes * stretch[:, None], grid - centre.reshape(-1, *[1] * len(size)), 1
        )
        nearest = np.minimum(nearest, np.sqrt((offset**2).sum(axis=0)))
    return irregularity * _smooth(size, 0.08, generator) - nearest


def _step(height: np.ndarray, width: float) -> np.ndarray:
    """From 0 below to 1 above, over `width`."""
    return 1 / (1 + np.exp(np.clip(-4 * height / width, -50, 50)))


def _smooth(size: tuple[int, ...], length: float, generator: np.random.Generator) -> np.ndarray:
    """Gaussian noise with standard deviation 1, correlated over `length` shares of the side."""
    field = gaussian_filter(
        generator.standard_normal(size), [length * n for n in size], mode="wrap"
    )
    return field / field.std()
