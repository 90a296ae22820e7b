"""One file of an image or a mask: pictures through Pillow, NIfTI through nibabel, others beside."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segrisk.data.arrays import array_header, read_array
from segrisk.data.errors import LABEL_MAP, DataError, UnreadableError, shown
from segrisk.data.itk import itk_header, read_itk

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage
    from PIL.Image import Image

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
VOLUMES = (".nii.gz", ".nii")
ITK = (".nrrd", ".mha", ".mhd")
ARRAYS = (".npy", ".npz")
MASKS = (*VOLUMES, *ITK, *ARRAYS, *PICTURES)
"""The endings of all files that `read_mask` reads; case does not matter."""

COLOUR = {"P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV", "LAB"}
ORIENTATION = 0x0112  # the EXIF tag
AS_FILES = (
    "save each channel or time point of a 4D file as a 3D file of its own (ID_0000.nii.gz, "
    "ID_0001.nii.gz, …)"
)
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
    scaling: tuple[float, float] = (1.0, 0.0)
    """Slope and intercept that made `values` of what a NIfTI file stores."""

    @property
    def space(self) -> tuple[int, ...]:
        return self.values.shape[1:]


@dataclass(frozen=True)
class Header:
    """What one file says of its grid, as in `Grid`, before any value is read.

    `spacing_mm` is None where the file does not know it. `dtype` is that of the stored values.
    """

    path: Path
    space: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None
    affine: np.ndarray | None
    dtype: np.dtype


def stem(name: str, endings: tuple[str, ...] = (*VOLUMES, *PICTURES)) -> str | None:
    """The name of a file without its ending; None where it has none of these, or is hidden.

    >>> stem("scan.v2.NII.gz"), stem("notes.txt"), stem("._a.png")
    ('scan.v2', None, None)
    """
    ending = next((end for end in endings if name.lower().endswith(end)), None)
    return None if ending is None or name.startswith(".") else name[: -len(ending)]


def is_volume(path: Path) -> bool:
    """Whether the file is a NIfTI volume, by its name."""
    return path.name.lower().endswith(VOLUMES)


def is_picture(path: Path) -> bool:
    """Whether the file is a picture, by its name."""
    return path.name.lower().endswith(PICTURES)


def is_grey(path: Path) -> bool:
    """Whether a picture's header says one channel; False too where the file cannot be read."""
    with naming(path):
        from PIL import Image
    try:
        with Image.open(path) as picture:
            return picture.mode not in COLOUR
    except Exception:  # whoever reads the pixels reports the fault
        return False


def read_image(path: Path, channels: int = 1) -> Grid:
    """The intensities of a file, (channels, *space) float32: 3 for a colour picture, else 1.

    A volume with several `channels` has them along its last axis. Alpha is dropped and a palette
    resolved; the scale of the values is kept. DataError names a file that cannot be read, holds
    several pages or time points, or NaN or infinite values.
    """
    with naming(path):
        if is_volume(path):
            grid = _read_volume(path, np.dtype(np.float32), channels)
        else:
            grid = _read_picture(path, _intensities)
    return _finite(grid, "intensities")


def read_mask(path: Path) -> Grid:
    """The values of a mask's file, (1, *space), in the type they are stored in.

    A palette picture gives its indices, a colour picture of grey values those. DataError names a
    file that cannot be read, is coloured, or holds NaN.
    """
    return _finite(read_stored(path), "mask values")


def read_stored(path: Path) -> Grid:
    """Like `read_mask`, but NaN and infinite values are left in."""
    name = path.name.lower()
    with naming(path):
        if name.endswith(VOLUMES):
            return _read_volume(path, None)
        if name.endswith(ITK):
            return Grid(path, *read_itk(path))
        if name.endswith(ARRAYS):
            values = read_array(path)[None]
            return Grid(path, values, (1.0,) * (values.ndim - 1), None)
        return _read_picture(path, _labels)


def read_header(path: Path) -> Header:
    """What a mask's file says of its grid; DataError names a file that does not even say that."""
    name = path.name.lower()
    with naming(path):
        if name.endswith(VOLUMES):
            import nibabel

            return volume_header(path, nibabel.load(path))
        if name.endswith(ITK):
            return Header(path, *itk_header(path))
        if name.endswith(ARRAYS):
            return Header(path, *array_header(path))
        from PIL import Image

        with Image.open(path) as picture:
            kind = np.dtype({"F": np.float32}.get(picture.mode, np.uint8))
            return Header(path, picture.size[::-1], None, None, kind)


def corner_distance_mm(affine: np.ndarray, other: np.ndarray, space: tuple[int, ...]) -> float:
    """The distance of the corners of a volume as two affines place them, the largest of all 8."""
    corners = [(*corner, 1) for corner in product(*((0, size - 1) for size in space))]
    moved = (affine - other) @ np.array(corners, dtype=float).T
    return float(np.linalg.norm(moved[:3], axis=0).max())


def orientation(affine: np.ndarray) -> str:
    """Where the axes of an array point to in the body, such as RAS; letters as in NIfTI.

    >>> orientation(np.diag([-1.0, -1.0, 2.0, 1.0]))
    'LPS'
    """
    matrix = affine[:3, :3] / np.maximum(np.linalg.norm(affine[:3, :3], axis=0), 1e-300)
    letters = [""] * 3
    left = np.abs(matrix)
    for _ in range(3):  # the clearest first, so that no axis of the body is given twice
        axis, column = np.unravel_index(int(left.argmax()), left.shape)
        letters[column] = ("LR", "PA", "IS")[axis][int(matrix[axis, column] > 0)]
        left[axis], left[:, column] = -1, -1
    return "".join(letters)


def misplacement(
    grid: Grid | Header, reference: Grid | Header, tolerance_mm: float | None = None
) -> str | None:
    """Why the voxels of two files are not the same points of space; None where they are.

    Placement is compared at the 8 corners of the volume, where two affines differ most. Without
    `tolerance_mm`, what rounding in a header may move is allowed: 0.1 % of the largest spacing.
    """
    other = shown(reference.path)
    if grid.space != reference.space:
        return (
            f"{shown(grid.path)}: shape {grid.space} differs from {reference.space} of {other}: "
            "check that they belong together, or resample one to the grid of the other"
        )
    own, others = grid.spacing_mm, reference.spacing_mm
    if own and others and not np.allclose(own, others, rtol=PLACEMENT, atol=0):
        return (
            f"{shown(grid.path)}: spacing {_rounded(own)} mm differs from "
            f"{_rounded(others)} mm of {other}: mend the header that is wrong, or resample one to "
            "the grid of the other"
        )
    if grid.affine is None or reference.affine is None:
        return None
    if tolerance_mm is None:
        tolerance_mm = PLACEMENT * max(others or (1.0,))
    distance = corner_distance_mm(grid.affine, reference.affine, grid.space)
    if distance <= tolerance_mm:
        return None
    axes, other_axes = orientation(grid.affine), orientation(reference.affine)
    turned = f" (axes {axes}, there {other_axes})" if axes != other_axes else ""
    entries = np.abs(grid.affine - reference.affine).max()
    return (
        f"{shown(grid.path)}: its affine places a corner {distance:.4g} mm away from where {other} "
        f"has it{turned}, its entries differ by up to {entries:.4g}: mend the header that is "
        "wrong, or resample one to the grid of the other"
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
        if path.name.lower().endswith(ITK):
            needed = "SimpleITK"
        raise ImportError(f"reading {path.name} needs {needed}: pip install {needed}") from error
    except Exception as error:  # Pillow and nibabel raise everything from EOFError to SyntaxError
        reason = " ".join(str(error).replace(str(path), path.name).split())
        text = f"cannot be read ({type(error).__name__}: {reason}): copy or export the file again"
        raise UnreadableError([f"{shown(path)}: {text}"]) from error


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


def volume_header(path: Path, volume: "SpatialImage", channels: int | None = None) -> Header:
    """The header of a NIfTI file; DataError where it is no single volume of real numbers.

    A file of 2 axes is one slice. An image of several `channels` has them on its last axis; None
    stands for a mask.
    """
    shape = volume.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) == 2:
        shape = (*shape, 1)
    if channels and channels > 1:
        if len(shape) != 4 or shape[-1] != channels:
            raise _fault(
                path,
                f"has shape {volume.shape}, where 3 axes and then {channels} channels are "
                "expected: correct the file, or the modalities in dataset.json",
            )
        shape = shape[:-1]
    if len(shape) != 3 or 0 in shape:
        advice = LABEL_MAP if channels is None else AS_FILES
        raise _fault(path, f"has shape {volume.shape}, where 3 axes are expected: {advice}")
    dtype = volume.get_data_dtype()
    if dtype.kind not in "biuf":
        raise _fault(path, f"holds {dtype} values: save it as real numbers")
    zooms = (*volume.header.get_zooms()[:3], 1.0)  # of a slice the third may be lacking
    spacing = tuple(float(zoom) for zoom in zooms[:3])
    if not all(np.isfinite(spacing)):  # nibabel itself makes 0 to 1 and drops the sign
        raise _fault(path, f"has spacing {spacing} mm, which is impossible: mend the header")
    return Header(path, shape, spacing, np.asarray(volume.affine, dtype=float), dtype)


def _read_volume(path: Path, dtype: np.dtype | None, channels: int | None = None) -> Grid:
    import nibabel

    volume = nibabel.load(path, mmap=False)
    header = volume_header(path, volume, channels)
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which is refused after
        values = np.asarray(volume.dataobj, dtype=dtype).reshape((*header.space, channels or 1))
    scaling = (float(volume.dataobj.slope), float(volume.dataobj.inter))
    values = np.moveaxis(values, -1, 0)
    return Grid(path, values, header.spacing_mm, header.affine, scaling)


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
