"""What empty masks get: the presets say what the packages do."""

import math
import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from segrisk.metrics import CONVENTIONS, MEASURES
from segrisk.metrics.conventions import DIAGONAL, FORMULA
from segrisk.metrics.measures import measures
from segrisk.similarity import SIMILARITIES, Confusion

EMPTY = np.zeros((6, 6, 6), bool)
OBJECT = EMPTY.copy()
OBJECT[2:4, 2:4, 2:4] = True
LACKING = {"both": (EMPTY, EMPTY), "reference": (EMPTY, OBJECT), "prediction": (OBJECT, EMPTY)}
"""Reference and prediction, by which of them is empty."""

each = pytest.mark.parametrize("lacking", LACKING)


def preset(convention, metric, lacking):
    rule = getattr(CONVENTIONS[convention].rule(MEASURES[metric]), lacking)
    return {FORMULA: 0.0}.get(rule, rule)


def same(value, expected):
    return value == expected or (math.isnan(value) and math.isnan(expected))


def test_every_rule_is_of_a_measure_or_a_kind():
    known = {*MEASURES, *(measure.kind for measure in MEASURES.values())}
    for convention in CONVENTIONS.values():
        assert convention.rules.keys() <= known, convention.name


def test_the_convention_in_force_always_gives_a_number():
    for measure in MEASURES.values():
        rule = CONVENTIONS["segrisk"].rule(measure)
        for value in (rule.both, rule.reference, rule.prediction):
            assert value in {FORMULA, DIAGONAL} or math.isfinite(value)


def test_a_missed_object_is_never_at_distance_0():
    for convention in CONVENTIONS.values():
        for name in ("hd95_mm", "assd_mm"):
            rule = convention.rule(MEASURES[name])
            assert rule.prediction != 0 and rule.reference != 0


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_similarities_of_the_background_follow_their_formula(convention):
    rule = CONVENTIONS[convention].rule(MEASURES["hamming"])
    assert (rule.both, rule.reference, rule.prediction) == (FORMULA,) * 3


@pytest.mark.parametrize("name, similarity", SIMILARITIES.items())
def test_our_overlap_is_that_of_the_formula(name, similarity):
    rule = CONVENTIONS["segrisk"].rule(MEASURES[name])
    assert rule.both in {1.0, FORMULA} and similarity(Confusion(0, 0, 0, 9)) == 1
    assert rule.reference == rule.prediction == FORMULA


def tensors(lacking):
    torch = pytest.importorskip("torch")
    y, mask = (torch.tensor(mask)[None, None].float() for mask in LACKING[lacking])
    return mask, y


@each
@pytest.mark.filterwarnings("ignore:the (ground truth|prediction) of class")
def test_monai(lacking):
    metrics = pytest.importorskip("monai.metrics")
    pair, all_classes = tensors(lacking), {"include_background": True}
    values = {
        "dice": metrics.compute_dice(*pair),
        "jaccard": metrics.compute_iou(*pair),
        "nsd": metrics.compute_surface_dice(*pair, class_thresholds=[1.0], **all_classes),
        "hd95_mm": metrics.compute_hausdorff_distance(*pair, percentile=95, **all_classes),
        "assd_mm": metrics.compute_average_surface_distance(*pair, symmetric=True, **all_classes),
    }
    for metric, value in values.items():
        assert same(float(value), preset("monai", metric, lacking)), metric


def test_the_mean_of_monai():
    metrics = pytest.importorskip("monai.metrics")
    convention = CONVENTIONS["monai"]
    for cases in (list(LACKING), ["both"], ["both", "prediction"]):
        mean = metrics.DiceMetric()
        for lacking in cases:
            mean(*tensors(lacking))
        own = convention.average(preset("monai", "dice", lacking) for lacking in cases)
        assert own == float(mean.aggregate())


@each
def test_torchmetrics(lacking):
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metrics = pytest.importorskip("torchmetrics.functional.segmentation")
    y, mask = (torch.tensor(mask)[None].long() for mask in LACKING[lacking])
    options = {"num_classes": 2, "include_background": False, "input_format": "index"}
    value = float(metrics.dice_score(mask, y, average="none", **options))
    assert same(value, preset("torchmetrics", "dice", lacking))
    value = float(metrics.mean_iou(mask, y, per_class=True, **options))
    assert same(math.nan if value == -1 else value, preset("torchmetrics", "jaccard", lacking))


@each
def test_medpy(lacking):
    binary = pytest.importorskip("medpy.metric.binary")
    y, mask = LACKING[lacking]
    # Its Dice of two empty masks waits for an error of division that NumPy's numbers do not raise.
    if lacking != "both" or type(np.count_nonzero(EMPTY)) is int:
        assert binary.dc(mask, y) == preset("medpy", "dice", lacking)
    assert binary.jc(mask, y) == preset("medpy", "jaccard", lacking)
    for name, function in (("hd95_mm", binary.hd95), ("assd_mm", binary.assd)):
        assert math.isnan(preset("medpy", name, lacking))
        with pytest.raises(RuntimeError, match="does not contain any binary object"):
            function(mask, y)


def border(mask):
    return mask & ~ndimage.binary_erosion(mask)


def surface_share(y, mask, tolerance=1.0):
    """What MetricsReloaded's published code takes: SciPy's distances, also to a border of nothing.

    With nothing to be near to, SciPy measures to a voxel outside the first corner of the array.
    """
    borders = border(y), border(mask)
    to_y, to_mask = (ndimage.distance_transform_edt(~own) for own in borders)
    near = (borders[1] & (to_y <= tolerance)).sum() + (borders[0] & (to_mask <= tolerance)).sum()
    return near / (borders[0].sum() + borders[1].sum())


@each
def test_metrics_reloaded_2025(lacking):
    """The package is on no index, so its numbers are derived from what its code says.

    It sets Dice and surface Dice of two empty masks to 1 and their distance to 0, has no IoU of
    them, and no distance to one empty mask; the rest follows from its formulas.
    """
    y, mask = LACKING[lacking]
    both = lacking == "both"
    union, total = (y | mask).sum(), y.sum() + mask.sum()
    values = {
        "dice": 1.0 if both else 2 * (y & mask).sum() / total,
        "jaccard": math.nan if both else (y & mask).sum() / union,
        "nsd": 1.0 if both else surface_share(y, mask),
        "hd95_mm": 0.0 if both else math.nan,
        "assd_mm": 0.0 if both else math.nan,
    }
    for metric, value in values.items():
        assert same(float(value), preset("metrics_reloaded_2025", metric, lacking)), metric


def test_an_object_in_the_first_corner_is_near_to_nothing_in_metrics_reloaded():
    """The one case in which its surface Dice of a missed object is not the 0 of the preset."""
    corner = np.zeros_like(OBJECT)
    corner[:2, :2, :2] = True
    assert surface_share(corner, EMPTY) > 0 == surface_share(OBJECT, EMPTY)


def test_metrics_reloaded_2026_has_no_dice_without_a_reference():
    """By the note of its change of April 2026; its code is not at hand."""
    for lacking, value in (("both", math.nan), ("reference", math.nan), ("prediction", 0.0)):
        assert same(preset("metrics_reloaded_2026", "dice", lacking), value)


@pytest.mark.parametrize(
    ("convention", "package"),
    [("monai", "monai"), ("torchmetrics", "torchmetrics"), ("medpy", "MedPy")],
)
def test_the_version_that_is_named_is_the_version_that_is_tested(convention, package):
    pins = (Path(__file__).parents[2] / "constraints.txt").read_text().splitlines()
    (pin,) = (line.partition("==")[2] for line in pins if line.startswith(f"{package}=="))
    assert pin in CONVENTIONS[convention].source


def test_means_leave_out_or_keep_cases_without_a_value():
    assert math.isnan(CONVENTIONS["segrisk"].average([1.0, math.nan]))
    assert CONVENTIONS["nnunet"].average([1.0, math.nan]) == 1
    assert math.isnan(CONVENTIONS["nnunet"].average([math.nan]))
    assert CONVENTIONS["monai"].average([math.nan]) == 0


def test_a_metric_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="no metric is called 'dise'; did you mean 'dice'"):
        measures(["dise"])


def test_the_page_says_what_the_conventions_are():
    script = runpy.run_path(str(Path(__file__).parents[2] / "docs/make_conventions_table.py"))
    (block,) = script["BLOCK"].findall(script["PAGE"].read_text(encoding="utf-8"))
    assert block == script["table"](), "run python docs/make_conventions_table.py"
