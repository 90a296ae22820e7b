"""Every row of docs/migration.md against the formulas of the packages, written as slow loops."""

import re
from pathlib import Path

import pytest
import torch

import segrisk.losses
from segrisk.losses import power

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "migration.md").read_text()
ROW = re.compile(r"^\| (?P<have>`[^|]*) \| (?P<write>`[^|]*) \| (?P<why>[^|]+) \|$", re.MULTILINE)
ROWS = [match.groupdict() for match in ROW.finditer(PAGE)]
NAMES = {**vars(segrisk.losses), "power": power}


def written(row):
    return eval(re.match(r"`([^`]+)`", row["write"])[1], dict(NAMES))


def data(classes=3, absent=False, high=None):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, classes, 7, 5, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, high or max(classes, 2), (2, 7, 5), generator=generator)
    if absent:
        labels[labels == 2] = 1
    return logits, labels


def row(have):
    (found,) = [row for row in ROWS if row["have"].startswith(f"`{have}`")][:1]
    return written(found)


def test_every_row_can_be_written():
    assert len(ROWS) == 25
    for one in ROWS:
        hinge = "hinge" in one["have"]
        logits, labels = data(1 if hinge else 3)
        if "soft labels" in one["have"]:
            labels = logits.softmax(1)
        value = written(one)(logits, labels)
        assert value.ndim == 0 and value.isfinite(), one["write"]


# ---- Berman --------------------------------------------------------------------------------------


def extension(errors, foreground):
    """The Lovász extension of the Jaccard loss by its definition: one mistake after another."""
    order = sorted(range(len(errors)), key=lambda i: -errors[i])
    wrong, value, last = set(), 0.0, 0.0
    positives = {i for i, y in enumerate(foreground) if y}
    for i in order:
        wrong.add(i)
        loss = 1 - len(positives - wrong) / len(positives | wrong)
        value, last = value + errors[i] * (loss - last), loss
    return value


def lovasz_softmax(logits, labels, classes="present", per_image=False, ignore=None):
    if per_image:
        each = [
            lovasz_softmax(logits[i : i + 1], labels[i : i + 1], classes)
            for i in range(len(logits))
        ]
        return sum(each) / len(each)
    p, y = logits.softmax(1).movedim(1, 0).flatten(1), labels.flatten()
    if ignore is not None:
        p, y = p[:, y != ignore], y[y != ignore]
    chosen = range(len(p)) if classes in ("present", "all") else classes
    terms = [
        extension((p[c] - (y == c).double()).abs().tolist(), (y == c).tolist())
        for c in chosen
        if classes != "present" or (y == c).any()
    ]
    return sum(terms) / len(terms)


def lovasz_hinge(logits, labels, per_image=True):
    images = zip(logits[:, 0], labels, strict=True) if per_image else [(logits, labels)]
    terms = [
        extension((1 - x * (2 * y - 1)).clamp(min=0).flatten().tolist(), y.flatten().tolist())
        for x, y in ((x.reshape(-1), y.reshape(-1)) for x, y in images)
    ]
    return sum(terms) / len(terms)


@pytest.mark.parametrize(
    ("call", "options", "absent"),
    [
        ("lovasz_softmax(softmax(x, 1), y)", {}, True),
        ('lovasz_softmax(softmax(x, 1), y, classes="all")', {"classes": "all"}, False),
        ("lovasz_softmax(softmax(x, 1), y, classes=[1, 2])", {"classes": [1, 2]}, False),
        ("lovasz_softmax(softmax(x, 1), y, per_image=True)", {"per_image": True}, False),
        ("lovasz_softmax(softmax(x, 1), y, ignore=255)", {"ignore": 255}, True),
    ],
)
def test_bermans_lovasz_softmax(call, options, absent):
    logits, labels = data(absent=absent)
    labels[:, :2] = options.get("ignore", labels[:, :2])
    expected = lovasz_softmax(logits, labels, **options)
    assert float(row(call)(logits, labels)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("per_image", [True, False])
def test_bermans_lovasz_hinge(per_image):
    logits, labels = data(1)
    call = "lovasz_hinge(x[:, 0], y)" if per_image else "lovasz_hinge(x[:, 0], y, per_image=False)"
    expected = lovasz_hinge(logits, labels, per_image)
    assert float(row(call)(logits, labels)) == pytest.approx(expected, abs=1e-12)


# ---- JDTLosses -----------------------------------------------------------------------------------


def jdt(
    logits,
    label,
    per_image=False,
    alpha=1.0,
    beta=1.0,
    norm=1,
    curve=lambda t: 1 - t,
    weights=None,
    smooth=0.0,
    keep=None,
):
    """Its formulas with smooth = 0: Tversky of masses from norms, over the classes present."""
    p, soft = logits.softmax(1).flatten(2), label.shape == logits.shape
    classes = p.shape[1]
    y = label if soft else torch.stack([(label == c).double() for c in range(classes)], 1)
    y = y.flatten(2)
    if keep is not None:
        p, y = p * keep, y * keep
    of_p, of_y, of_both = ((v.abs() ** norm).sum(-1) for v in (p, y, p - y))
    tp = (of_p + of_y - of_both) / 2
    fp, fn = of_p - tp, of_y - tp
    present = y.amax(-1) > 0.01
    if not per_image:
        tp, fp, fn = (v.sum(0, keepdim=True) for v in (tp, fp, fn))
        present = present.any(0, keepdim=True)
    terms = curve((tp + smooth) / (tp + alpha * fp + beta * fn + smooth))
    terms = terms if weights is None else terms * torch.tensor(weights, dtype=terms.dtype)
    each = [t[k].mean() for t, k in zip(terms, present | soft, strict=True)]
    return float(sum(each) / len(each))


@pytest.mark.parametrize(
    ("call", "options", "factor"),
    [
        ("JDTLoss()", {}, 1),
        ("JDTLoss(mIoUD=0.0, mIoUI=1.0)", {"per_image": True}, 1),
        ("JDTLoss(mIoUD=0.0, mIoUC=1.0)", {"per_image": True}, 1),  # all present: both means agree
        ("JDTLoss(alpha=0.5, beta=0.5)", {"alpha": 0.5, "beta": 0.5}, 1),
        ("JDTLoss(alpha=0.3, beta=0.7)", {"alpha": 0.3, "beta": 0.7}, 1),
        ("JDTLoss(gamma=2.0)", {"curve": lambda t: (1 - t) ** 2}, 1),
        ("JDTLoss(norm=2)", {"norm": 2}, 1),
        ("JDTLoss(class_weights=[1.0, 2.0, 3.0])", {"weights": [1.0, 2.0, 3.0]}, 2),
        ("JDTLoss(log_loss=True)", {"curve": lambda t: -t.log()}, 1),
    ],
)
def test_jdt_losses(call, options, factor):
    logits, labels = data()
    # Our curves are bent by 1e-6 so that their slopes end: log and power.
    tolerance = 1e-5 if "curve" in options else 1e-12
    expected = jdt(logits, labels, **options) / factor
    assert float(row(call)(logits, labels)) == pytest.approx(expected, abs=tolerance)
    smoothed = jdt(logits, labels, smooth=1e-3, **options) / factor
    voxels = int(torch.bincount(labels.flatten()).min())
    assert abs(smoothed - expected) < 1e-3 / (voxels / 2) * (10 if "curve" in options else 1)


def test_jdt_mixes_soft_labels_and_what_is_ignored():
    logits, labels = data()
    mixed = 0.5 * jdt(logits, labels) + 0.5 * jdt(logits, labels, per_image=True)
    assert float(row("JDTLoss(mIoUD=0.5, mIoUI=0.5)")(logits, labels)) == pytest.approx(mixed)
    soft = torch.rand(logits.shape, dtype=torch.float64).softmax(1)
    (of_soft,) = [one for one in ROWS if "with soft labels" in one["have"]]
    assert float(written(of_soft)(logits, soft)) == pytest.approx(jdt(logits, soft))
    labels[:, 0] = 255
    keep = (labels != 255).flatten(1).unsqueeze(1)
    ignored = jdt(logits, labels.clamp(max=2), keep=keep)
    assert float(row("JDTLoss(ignore_index=255)")(logits, labels)) == pytest.approx(ignored)


# ---- what the words say --------------------------------------------------------------------------


def test_means_differ_only_where_an_image_lacks_a_class():
    logits, labels = data()
    labels[0][labels[0] == 2] = 1
    flat = float(row("JDTLoss(mIoUD=0.0, mIoUI=1.0)")(logits, labels))
    assert abs(flat - jdt(logits, labels, per_image=True)) > 1e-3
