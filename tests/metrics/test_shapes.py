"""Surfaces and components: equal to MONAI's own numbers, to brute force, and to the convention."""

import itertools
import math

import numpy as np
import pytest
from scipy import ndimage

from segrisk.metrics import component_confusions, surface_distances
from segrisk.similarity import dice


def blob(shape, seed, share=0.8):
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    return field > np.quantile(field, share)


def surface(mask):
    """The voxels of a mask with a face outside it or at the border, as points."""
    points = []
    for point in zip(*np.nonzero(mask), strict=True):
        for axis, step in itertools.product(range(mask.ndim), (-1, 1)):
            other = list(point)
            other[axis] += step
            inside = 0 <= other[axis] < mask.shape[axis] and mask[tuple(other)]
            if not inside:
                points.append(point)
                break
    return np.array(points, float)


def brute_force(y, p, spacing):
    a, b = surface(p) * spacing, surface(y) * spacing
    lengths = np.linalg.norm(a[:, None] - b[None], axis=-1)
    return lengths.min(1), lengths.min(0)


@pytest.mark.parametrize("shape, spacing", [((14, 11), (0.7, 2.0)), ((9, 8, 7), (1.0, 0.5, 3.0))])
def test_distances_equal_brute_force(shape, spacing):
    pytest.importorskip("monai")
    y, p = blob(shape, 1), blob(shape, 2)
    distances = surface_distances(y, p, spacing)
    expected = brute_force(y, p, np.array(spacing))
    for own, other in zip((distances.of_prediction, distances.of_reference), expected, strict=True):
        np.testing.assert_allclose(np.sort(own), np.sort(other), rtol=1e-6)
    both = np.concatenate(expected)
    assert distances.hd95_mm == pytest.approx(max(np.percentile(d, 95) for d in expected))
    assert distances.assd_mm == pytest.approx(both.mean())
    assert distances.nsd(1.6) == pytest.approx((both <= 1.6).mean())


def test_numbers_equal_those_of_monai():
    torch, metrics = pytest.importorskip("torch"), pytest.importorskip("monai.metrics")
    y, p, spacing = blob((20, 18, 16), 3), blob((20, 18, 16), 4), (1.0, 0.8, 2.5)
    own = surface_distances(y, p, spacing)
    tensors = [torch.tensor(mask)[None, None].float() for mask in (p, y)]
    options = {"include_background": True, "spacing": spacing}
    hd95 = metrics.compute_hausdorff_distance(*tensors, percentile=95, **options)
    assd = metrics.compute_average_surface_distance(*tensors, symmetric=True, **options)
    nsd = metrics.compute_surface_dice(*tensors, class_thresholds=[1.0], **options)
    assert own.hd95_mm == pytest.approx(float(hd95), rel=1e-6)
    assert own.assd_mm == pytest.approx(float(assd), rel=1e-6)
    assert own.nsd(1.0) == pytest.approx(float(nsd), rel=1e-6)


def test_the_percentile_of_medpy_is_over_both_directions():
    pytest.importorskip("monai")
    binary = pytest.importorskip("medpy.metric.binary")
    y, p = blob((16, 15, 14), 5), blob((16, 15, 14), 6)
    own = surface_distances(y, p, (1.0, 1.0, 1.0))
    pooled = np.percentile(np.concatenate((own.of_prediction, own.of_reference)), 95)
    assert binary.hd95(p, y) == pytest.approx(pooled, rel=1e-6)


def test_a_voxel_at_the_tolerance_is_within_it():
    pytest.importorskip("monai")
    y = np.zeros((7, 7), bool)
    y[2:5, 2:5] = True
    for spacing in (0.1, 0.7, 1.1, 1.3):
        moved = surface_distances(y, np.roll(y, 1, axis=1), (spacing, spacing))
        assert moved.nsd(spacing) == 1 and moved.nsd(0.9 * spacing) < 1


def test_a_slice_has_no_surface_across_it():
    pytest.importorskip("monai")
    y, p = blob((12, 12), 7), blob((12, 12), 8)
    flat = surface_distances(y, p, (1.0, 2.0))
    deep = surface_distances(y[..., None], p[..., None], (1.0, 2.0, 5.0))
    assert deep.hd95_mm == flat.hd95_mm and deep.assd_mm == flat.assd_mm


def test_one_voxel_is_its_own_surface():
    pytest.importorskip("monai")
    one = np.ones((1, 1, 1), bool)
    assert surface_distances(one, one, (1.0, 1.0, 1.0)).hd95_mm == 0


def test_empty_masks_and_other_grids_have_no_surface():
    y = blob((6, 6), 9)
    with pytest.raises(ValueError, match="a mask is empty and has no surface: a Convention"):
        surface_distances(y, np.zeros_like(y), (1.0, 1.0))
    with pytest.raises(ValueError, match=r"\(6, 6\) and \(1, 6\) with 2 spacings: they must be of"):
        surface_distances(y, y[:1], (1.0, 1.0))
    with pytest.raises(ValueError, match="with 3 spacings"):
        surface_distances(y, y, (1.0, 1.0, 1.0))


# ---- components ---------------------------------------------------------------------------------


def components_by_loop(y, p, spacing):
    """Each foreground voxel of the prediction goes to the component with the nearest voxel.

    None where a voxel is as near to two components, whose owner may be either.
    """
    labels, count = ndimage.label(y, np.ones((3,) * y.ndim))
    own = [np.argwhere(labels == index + 1) * spacing for index in range(count)]
    rows = [[0, 0, int((labels == index + 1).sum())] for index in range(count)]
    for point in np.argwhere(p):
        lengths = [np.linalg.norm(points - point * spacing, axis=1).min() for points in own]
        nearest, other = np.argsort(lengths)[:2]
        if math.isclose(lengths[nearest], lengths[other]):
            return None
        hit = labels[tuple(point)] == nearest + 1
        rows[nearest][0 if hit else 1] += 1
    return [(tp, fp, size - tp) for tp, fp, size in rows]


def test_components_equal_a_loop():
    compared, spacing = 0, np.array([1.0, math.sqrt(2), math.pi])
    for seed in range(60):
        generator = np.random.default_rng(seed)
        y, p = generator.random((13, 9, 6)) > 0.985, generator.random((13, 9, 6)) > 0.99
        p |= np.roll(y, 1, axis=0) & (generator.random(y.shape) > 0.5)
        expected = components_by_loop(y, p, spacing)
        if expected is not None:
            own = component_confusions(y, p, spacing)
            assert list(zip(*(m.tolist() for m in own[:3]), strict=True)) == expected
            compared += 1
    assert compared >= 10


def test_small_and_large_components_count_alike():
    y = np.zeros((40, 40), bool)
    y[:20, :20] = True
    y[30, 30] = True
    missed = y.copy()
    missed[30, 30] = False
    values = dice(component_confusions(y, missed, (1.0, 1.0)))
    assert values.tolist() == [1.0, 0.0]
    assert dice(component_confusions(y, y, (1.0, 1.0))).tolist() == [1.0, 1.0]


def test_components_touch_at_corners():
    y = np.eye(4, dtype=bool)
    assert component_confusions(y, y, (1.0, 1.0)).tp.tolist() == [4]


def test_an_empty_prediction_misses_every_component():
    y = np.array([1, 0, 0, 1, 1], bool)
    masses = component_confusions(y, np.zeros(5, bool), (1.0,))
    assert masses.fn.tolist() == [1, 2] and masses.fp.tolist() == [0, 0]


def test_components_of_nothing_are_refused():
    y = np.zeros((3, 3), bool)
    with pytest.raises(ValueError, match="an empty reference has no components: a Convention"):
        component_confusions(y, ~y, (1.0, 1.0))
    with pytest.raises(ValueError, match=r"\(3, 3\) and \(1, 3\): .*nothing is broadcast"):
        component_confusions(~y, y[:1], (1.0, 1.0))
