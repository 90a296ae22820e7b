"""Masks and probability maps as the bytes of files that other programs read."""

import gzip
import io
from pathlib import Path

import numpy as np


def png(values: np.ndarray) -> bytes:
    """Grey values (rows, columns), uint8 or uint16, as PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, format="PNG")
    return buffer.getvalue()


def nifti(values: np.ndarray, like: Path | None = None) -> bytes:
    """Values (x, y, z) as gzip NIfTI, on the grid of the file `like`, whose header it keeps.

    Without one, voxels are 1 mm apart and indices are coordinates. The shape may be `like`'s
    without axes of length 1. The same values give the same bytes.
    """
    import nibabel

    if like is None:
        image = nibabel.Nifti1Image(values, np.eye(4))
    else:
        source = nibabel.load(like)
        header = source.header.copy()
        header.set_data_dtype(values.dtype)
        header.set_slope_inter(1, 0)
        header["cal_min"], header["cal_max"] = 0, 0
        image = type(source)(values.reshape(source.shape), source.affine, header)
    return gzip.compress(image.to_bytes(), mtime=0)
