"""Masks in files, and cases made of them."""

import nibabel
import numpy as np

from mask_trees import write
from segrisk.compare.cases import ComparedCase


def save(path, labels, spacing=None):
    """Write labels as they are, in the format that the name says."""
    return write(path, labels, np.diag([*(spacing or (1.0,) * 3), 1.0]))


def scaled(path, stored, slope, intercept):
    """A NIfTI file whose header scales the numbers that are stored."""
    save(path, stored)
    with path.open("r+b") as file:
        file.seek(112)
        np.array([slope, intercept], "<f4").tofile(file)
    return path


def big_endian(path, labels):
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.dtype(">i2"))
    image = nibabel.Nifti1Image(labels.astype(">i2"), np.eye(4), header)
    image.to_filename(path)
    return path


def case(name, reference, seed=0, task="t", group=None, **predictions):
    return ComparedCase(task, name, group or name, 0, seed, reference, predictions)


def scene(seed, shape=(9, 8, 7), labels=3):
    """A few boxes of labels on the background."""
    generator = np.random.default_rng(seed)
    mask = np.zeros(shape, np.uint8)
    for label in range(1, labels + 1):
        start = [int(generator.integers(0, size - 2)) for size in shape]
        box = tuple(slice(s, s + int(generator.integers(2, 5))) for s in start)
        mask[box] = label
    return mask
