"""One file: what each kind of picture and volume is read as, and what is refused."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from segrisk.data.errors import DataError
from segrisk.data.images import is_grey, is_volume, misplacement, read_image, read_mask

PIXELS = np.arange(12, dtype=np.uint8).reshape(3, 4)
COLOURS = np.stack([PIXELS, PIXELS + 50, PIXELS + 100], axis=-1)


def picture(path: Path, pixels: np.ndarray, mode: str | None = None, **options) -> Path:
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def volume(path: Path, values: np.ndarray, affine=None, **header) -> Path:
    image = nib.Nifti1Image(values, np.eye(4) if affine is None else affine)
    for key, value in header.items():
        image.header[key] = value
    nib.save(image, path)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.TIF", "a.tiff"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_pictures_keep_their_scale(tmp_path, name, dtype):
    grid = read_image(picture(tmp_path / name, PIXELS.astype(dtype) * 20))
    assert grid.values.dtype == np.float32 and grid.space == (3, 4)
    np.testing.assert_array_equal(grid.values[0], PIXELS.astype(np.float32) * 20)
    assert grid.spacing_mm == (1.0, 1.0) and grid.affine is None


def test_sixteen_bit_and_float_values_are_not_cut(tmp_path):
    deep = PIXELS.astype(np.uint16) * 5000
    assert read_image(picture(tmp_path / "a.png", deep)).values.max() == 55000
    real = PIXELS.astype(np.float32) / 7
    np.testing.assert_array_equal(read_image(picture(tmp_path / "a.tif", real)).values[0], real)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colour_is_channels_first_without_alpha(tmp_path, mode):
    grid = read_image(picture(tmp_path / "a.png", COLOURS, mode))
    np.testing.assert_array_equal(grid.values, np.moveaxis(COLOURS, -1, 0))


def test_cmyk_and_palette_become_colour(tmp_path):
    cmyk = read_image(picture(tmp_path / "a.tif", COLOURS, "CMYK"))
    np.testing.assert_allclose(cmyk.values, np.moveaxis(COLOURS, -1, 0), atol=2)
    image = Image.fromarray(PIXELS % 2, "L").convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "p.png", transparency=b"\x80\xff")
    palette = read_image(tmp_path / "p.png")
    assert palette.values[:, 0, 1].tolist() == [40, 50, 60]
    np.testing.assert_array_equal(read_mask(tmp_path / "p.png").values[0], PIXELS % 2)


def test_grey_with_alpha_and_bits(tmp_path):
    np.testing.assert_array_equal(
        read_image(picture(tmp_path / "a.png", PIXELS, "LA")).values[0], PIXELS
    )
    bits = picture(tmp_path / "b.png", PIXELS > 5)
    assert set(np.unique(read_image(bits).values)) == {0, 255}
    np.testing.assert_array_equal(read_mask(bits).values[0] != 0, PIXELS > 5)


def test_headers_tell_grey_from_colour(tmp_path):
    assert is_grey(picture(tmp_path / "a.png", PIXELS))
    assert not is_grey(picture(tmp_path / "b.png", COLOURS))
    (tmp_path / "c.png").write_bytes(b"no picture")
    assert not is_grey(tmp_path / "c.png")


def test_masks_keep_their_values(tmp_path):
    for mode in ("L", "RGB", "RGBA", "LA"):
        path = picture(tmp_path / f"{mode}.png", PIXELS, mode)
        np.testing.assert_array_equal(read_mask(path).values, PIXELS[None])


def test_a_coloured_mask_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"/a\.png: is a coloured mask: save it as grey"):
        read_mask(picture(tmp_path / "a.png", COLOURS))


def test_a_turned_picture_and_many_pages_are_refused(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    with pytest.raises(DataError, match=r"/a\.jpg: its EXIF data.*save image and mask upright"):
        read_image(picture(tmp_path / "a.jpg", COLOURS, exif=exif))
    pages = [Image.fromarray(PIXELS), Image.fromarray(PIXELS)]
    pages[0].save(tmp_path / "b.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match=r"/b\.tif: holds 2 pages"):
        read_image(tmp_path / "b.tif")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_volumes_keep_axes_spacing_and_scaling(tmp_path, name):
    values = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    path = volume(tmp_path / name, values, np.diag([0.5, 1.5, 3.0, 1]))
    grid = read_image(path)
    np.testing.assert_array_equal(grid.values[0], values)
    assert is_volume(path) and grid.values.dtype == np.float32
    assert grid.spacing_mm == (0.5, 1.5, 3.0)
    assert read_mask(path).values.dtype == np.int16


def test_a_fourth_axis_of_length_one_is_dropped_and_others_refused(tmp_path):
    values = np.random.default_rng(0).integers(0, 9, (2, 3, 4, 1), dtype=np.int16)
    grid = read_image(volume(tmp_path / "a.nii", values))
    np.testing.assert_array_equal(grid.values[0], values[..., 0])
    path = volume(tmp_path / "b.nii.gz", np.ones((2, 3, 4, 2), np.uint8))
    with pytest.raises(DataError, match=r"/b\.nii\.gz: has shape .*3 axes.*4D file"):
        read_image(path)


def test_a_volume_of_two_axes_is_one_slice(tmp_path):
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    np.testing.assert_array_equal(
        read_image(volume(tmp_path / "a.nii", values)).values, values[None, ..., None]
    )


def test_values_that_are_not_finite_are_counted(tmp_path):
    values = np.ones((2, 3, 4), np.float64)
    values[0, 0, :2] = np.nan, 1e300
    with pytest.raises(DataError, match=r"a\.nii: 2 of 24 intensities are NaN or infinite"):
        read_image(volume(tmp_path / "a.nii", values))
    with pytest.raises(DataError, match=r"a\.nii: 1 of 24 mask values are NaN"):
        read_mask(tmp_path / "a.nii")


def test_complex_values_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"a\.nii: holds complex64 values"):
        read_image(volume(tmp_path / "a.nii", np.ones((2, 2, 2), np.complex64)))


@pytest.mark.parametrize("spacing", ["nan", "inf"])
def test_impossible_spacing_is_refused(tmp_path, spacing):
    path = volume(tmp_path / "b.nii", np.ones((2, 2, 2), np.uint8))
    raw = bytearray(path.read_bytes())
    raw[80:84] = np.float32(spacing).tobytes()  # pixdim[1]
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"b\.nii: has spacing .*mend the header"):
        read_image(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.nii", "a.nii.gz"])
@pytest.mark.parametrize("keep", [0.0, 0.1, 0.6])
def test_cut_files_are_named(tmp_path, name, keep):
    path = tmp_path / name
    noise = np.random.default_rng(0).integers(0, 255, (20, 30, 10), dtype=np.uint8)
    volume(path, noise) if is_volume(path) else picture(path, noise[..., 0])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(DataError, match=rf"/{name}: cannot be read \(.*copy or export") as error:
        read_image(path)
    assert len(str(error.value).splitlines()) == 1 and str(tmp_path) not in str(error.value)


def test_placement_is_compared_at_the_corners(tmp_path):
    values = np.zeros((11, 11, 11), np.uint8)
    reference = read_image(volume(tmp_path / "a.nii", values))
    turned = np.eye(4)
    turned[0, 1] = 0.01  # moves the far corner by 0.1 mm
    other = read_image(volume(tmp_path / "b.nii", values, turned, pixdim=[1] * 8))
    assert misplacement(reference, reference) is None
    assert "/b.nii: its affine places a corner 0.1 mm away" in misplacement(other, reference)
    nudged = np.eye(4)
    nudged[0, 3] = 0.0005
    assert misplacement(read_image(volume(tmp_path / "c.nii", values, nudged)), reference) is None
