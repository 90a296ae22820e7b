"""One file of an image or a mask: pictures through Pillow, volumes through nibabel."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segrisk.data.errors import DataError, shown

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
VOLUMES = (".nii.gz", ".nii")

COLOUR = {"P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV", "LAB"}
ORIENTATION = 0x0112  # the EXIF tag
PLACEMENT = 1e-3  # of the largest spacing: what rounding to float32 in a header may move a voxel


@dataclass(frozen=True)
class Grid:
    """What one file holds: `values` (channels, *space), a mask with one channel as stored.

    `spacing_mm` is the distance of neighbouring voxels along each axis. `affine` (4, 4) takes a
    voxel's index to mm; a picture has none, and its spacing is 1.0.
    """

    path: Path
    values: np.ndarray
    spacing_mm: tuple[float, ...]
    affine: np.ndarray | None

    @property
    def space(self) -> tuple[int, ...]:
        return self.values.shape[1:]


def is_volume(path: Path) -> bool:
    """Whether the file is a NIfTI volume, by its name."""
    return path.name.lower().endswith(VOLUMES)


def is_grey(path: Path) -> bool:
    """Whether a picture's header says one channel; False too where the file cannot be read."""
    with naming(path):
        from PIL import Image
    try:
        with Image.open(path) as picture:
            return picture.mode not in COLOUR
    except Exception:  # whoever reads the pixels reports the fault
        return False


def read_image(path: Path) -> Grid:
    """The intensities of a file, (channels, *space) float32: 3 for a colour picture, else 1.

    Alpha is dropped and a palette resolved; the scale of the values is kept. DataError names a
    file that cannot be read, holds several pages or time points, or NaN or infinite values.
    """
    with naming(path):
        if is_volume(path):
            grid = _read_volume(path, np.dtype(np.float32))
        else:
            grid = _read_picture(path, _intensities)
    return _finite(grid, "intensities")


def read_mask(path: Path) -> Grid:
    """The values of a mask's file, (1, *space), in the type they are stored in.

    A palette picture gives its indices, a colour picture of grey values those. DataError names a
    file that cannot be read, is coloured, or holds NaN.
    """
    with naming(path):
        grid = _read_volume(path, None) if is_volume(path) else _read_picture(path, _labels)
    return _finite(grid, "mask values")


def misplacement(grid: Grid, reference: Grid) -> str | None:
    """Why the voxels of two files are not the same points of space; None where they are.

    Placement is compared at the 8 corners of the volume, where two affines differ most.
    """
    other = shown(reference.path)
    if grid.space != reference.space:
        return (
            f"{shown(grid.path)}: shape {grid.space} differs from {reference.space} of {other}: "
            "check that they belong together, or resample one to the grid of the other"
        )
    if not np.allclose(grid.spacing_mm, reference.spacing_mm, rtol=PLACEMENT, atol=0):
        return (
            f"{shown(grid.path)}: spacing {_rounded(grid.spacing_mm)} mm differs from "
            f"{_rounded(reference.spacing_mm)} mm of {other}: mend the header that is wrong"
        )
    if grid.affine is None or reference.affine is None:
        return None
    corners = [(*corner, 1) for corner in product(*((0, size - 1) for size in grid.space))]
    moved = (grid.affine - reference.affine) @ np.array(corners, dtype=float).T
    distance = np.linalg.norm(moved[:3], axis=0).max()
    if distance <= PLACEMENT * max(reference.spacing_mm):
        return None
    return (
        f"{shown(grid.path)}: its affine places a corner {distance:.4g} mm away from where {other} "
        "has it: mend the header that is wrong, or resample one to the grid of the other"
    )


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Whatever the libraries raise on a broken file becomes one fault that names the file."""
    try:
        yield
    except DataError:
        raise
    except ImportError as error:
        needed = "nibabel" if is_volume(path) else "pillow"
        raise ImportError(f"reading {path.name} needs {needed}: pip install {needed}") from error
    except Exception as error:  # Pillow and nibabel raise everything from EOFError to SyntaxError
        reason = " ".join(str(error).replace(str(path), path.name).split())
        raise _fault(
            path,
            f"cannot be read ({type(error).__name__}: {reason}): copy or export the file again",
        ) from error


def _fault(path: Path, text: str) -> DataError:
    return DataError([f"{shown(path)}: {text}"])


def _finite(grid: Grid, what: str) -> Grid:
    if grid.values.dtype.kind == "f":
        count = grid.values.size - int(np.isfinite(grid.values).sum())
        if count:
            raise _fault(
                grid.path,
                f"{count} of {grid.values.size} {what} are NaN or infinite: replace them, "
                "for example by 0 where the scanner saw nothing",
            )
    return grid


def _read_volume(path: Path, dtype: np.dtype | None) -> Grid:
    import nibabel

    volume = nibabel.load(path, mmap=False)
    shape = volume.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or 0 in shape:
        raise _fault(
            path,
            f"has shape {volume.shape}, where 3 axes are expected: save each channel or time "
            "point of a 4D file as a 3D file of its own (ID_0000.nii.gz, ID_0001.nii.gz, …)",
        )
    if volume.get_data_dtype().kind not in "biuf":
        raise _fault(path, f"holds {volume.get_data_dtype()} values: save it as real numbers")
    spacing = tuple(float(zoom) for zoom in volume.header.get_zooms()[:3])
    if not all(np.isfinite(spacing)):  # nibabel itself makes 0 to 1 and drops the sign
        raise _fault(path, f"has spacing {spacing} mm, which is impossible: mend the header")
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which is refused after
        values = np.asarray(volume.dataobj, dtype=dtype).reshape(shape)
    return Grid(path, values[None], spacing, np.asarray(volume.affine, dtype=float))


def _read_picture(path: Path, convert: "Callable[[Image], np.ndarray]") -> Grid:
    from PIL import Image

    with Image.open(path) as picture:
        pages = getattr(picture, "n_frames", 1)
        if picture.format == "TIFF" and pages > 1:
            raise _fault(path, f"holds {pages} pages, where 1 is expected: save them as NIfTI")
        picture.load()
        if picture.getexif().get(ORIENTATION, 1) != 1:
            raise _fault(
                path,
                "its EXIF data says that it is to be shown turned, which programs obey or not: "
                "save image and mask upright, without EXIF orientation",
            )
        return Grid(path, convert(picture), (1.0, 1.0), None)


def _intensities(picture: "Image") -> np.ndarray:
    if picture.mode in COLOUR:
        # Through RGBA, because a palette may hold its transparency as bytes.
        opaque = picture.convert("RGBA") if picture.mode in {"P", "PA"} else picture
        pixels = np.asarray(opaque.convert("RGB"), dtype=np.float32)
        return np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
    grey = picture.convert("L") if picture.mode in {"1", "LA", "La"} else picture
    return np.asarray(grey).astype(np.float32)[None]


def _labels(picture: "Image") -> np.ndarray:
    if picture.mode in {"P", "PA", "LA", "La"}:
        return np.asarray(picture.getchannel(0))[None]
    if picture.mode not in COLOUR:
        return np.asarray(picture)[None]
    pixels = np.asarray(picture.convert("RGB"))
    if (pixels != pixels[..., :1]).any():
        raise _fault(
            Path(picture.filename),
            "is a coloured mask: save it as grey values, one number per label",
        )
    return pixels[None, ..., 0]


def _rounded(spacing: tuple[float, ...]) -> str:
    return " × ".join(f"{length:.6g}" for length in spacing)
