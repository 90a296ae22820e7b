"""Views: cropped, thinned and shrunk to fit, and refused where they could show something wrong."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from make_comparison import MODELS, comparison, view
from PIL import Image

from segrisk.report import viewer
from segrisk.report.cases import chosen_cases, gallery
from segrisk.report.contours import outline
from segrisk.report.summary import summarise
from segrisk.report.viewer import CaseView, draw, draw_within


def made(shape=(5, 300, 400), box=np.s_[2:4, 100:140, 200:260], colour=False):
    """A view with one box as its reference, and a model that marks its left half."""
    reference = np.zeros(shape, np.uint8)
    reference[box] = 255
    half = reference.copy()
    half[:, :, 230:] = 0
    image = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
    image = np.stack([image] * 3, axis=-1) if colour else image
    return CaseView("a case", (3.0, 1.0, 2.0), image, reference, {"half": half})


def pixels(drawing):
    data = base64.b64decode(drawing.image.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("colour", [False, True])
def test_a_view_is_cropped_around_its_masks(colour):
    drawing = draw(made(colour=colour))
    # 40 rows and 60 columns, with half of it around: at least 96 pixels, here 96 and 120.
    assert (drawing.height, drawing.width) == (96, 120)
    assert drawing.slices == (0, 1, 2, 3, 4) and drawing.first == 2 and drawing.depth == 5
    assert drawing.ratio == pytest.approx(96 * 1 / (120 * 2))
    assert pixels(drawing).shape[:2] == (5 * 96, 120)
    assert pixels(drawing).ndim == (3 if colour else 2)
    assert drawing.reference[2] == "M30 28h60v40h-60v-40z"
    assert drawing.outlines["half"][2] == "M30 28h30v40h-30v-40z"
    assert drawing.reference[0] == drawing.outlines["half"][4] == ""


def test_what_is_large_is_shrunk_by_a_whole_factor():
    reference = np.zeros((1, 700, 900), np.uint8)
    reference[0, 100:600, 100:800] = 1
    image = np.zeros((1, 700, 900), np.uint8)
    drawing = draw(CaseView("large", (1, 1, 1), image, reference, {}))
    assert drawing.shrunk == 4 and (drawing.height, drawing.width) == (175, 225)
    assert drawing.reference == (outline(reference[0, ::4, ::4]),)


def test_many_slices_are_thinned_and_an_empty_view_is_whole():
    reference = np.ones((200, 8, 8), np.uint8)
    view = CaseView("long", (1, 1, 1), 0 * reference, reference, {})
    drawing = draw(view)
    assert len(drawing.slices) == viewer.SLICES and drawing.slices[::39] == (0, 199)
    empty = draw(CaseView("empty", (1, 1, 1), 0 * reference, 0 * reference, {}))
    assert (empty.height, empty.width) == (8, 8) and empty.first == len(empty.slices) // 2
    whole = drawing.megabytes
    smaller = draw_within(view, whole / 2)
    assert smaller.megabytes <= whole / 2 and 1 <= len(smaller.slices) < viewer.SLICES
    assert draw_within(view, 1e-6) is None


def test_the_page_says_what_it_cut(monkeypatch):
    summary = summarise(comparison())
    assert gallery(summary, None).shown == gallery(summary, lambda *key: None).shown == ()
    assert "has no image to show" in gallery(summary, lambda *key: None).notes[0]
    drawing = draw(view("ct", "liver", "x"))
    monkeypatch.setattr("segrisk.report.cases.BUDGET_MB", 10 * drawing.megabytes / 2)
    notes = gallery(summary, view).notes
    assert any("slices, not in all" in note for note in notes)
    monkeypatch.setattr("segrisk.report.cases.BUDGET_MB", 1e-6)
    assert "does not fit into 0.0 MB" in gallery(summary, view).notes[0]


def test_the_best_the_worst_and_the_most_disputed_are_chosen():
    results = comparison(labels=("liver",), metrics=("dice",))
    summary = summarise(results)
    table = {}
    for score in results.scores:
        table.setdefault(score.case, []).append(score.value)
    has_object = {info.case for info in results.cases if info.fraction}
    chosen = {kind: {c.case for c in chosen_cases(summary) if kind in c.kinds} for kind in
              ("best", "worst", "most disputed")}  # fmt: skip
    mean = {case: np.mean(values) for case, values in table.items()}
    assert chosen["best"] == set(sorted(has_object, key=mean.get)[-2:])
    assert chosen["worst"] == set(sorted(mean, key=mean.get)[:2]) == {"case-0005", "case-0006"}
    assert chosen["most disputed"] == {"case-0005", "case-0006"}


def test_where_lower_is_better_the_worst_is_the_highest():
    results = comparison(labels=("liver",), metrics=("hd95_mm",))
    summary = summarise(replace(results, plan=replace(results.plan, primary="hd95_mm")))
    worst = {one.case for one in chosen_cases(summary) if "worst" in one.kinds}
    assert worst == {"case-0005", "case-0006"}
    assert summary.ranked["ct"][-1].name in {model.name for model in MODELS}


GREY = np.zeros((2, 4, 5), np.uint8)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"image": GREY[0]}, r"an image of shape \(4, 5\) and a reference of \(2, 4, 5\); give"),
        ({"reference": GREY[0], "image": GREY[0]}, r"a reference of \(4, 5\); give both as"),
        ({"predictions": {"m": GREY[:1]}}, r"the mask of 'm' has shape \(1, 4, 5\), the reference"),
        ({"predictions": {"m": GREY > 0}}, "an array of bool; give images and masks as uint8"),
        ({"spacing_mm": (1, 0, 1)}, r"spacing \(1, 0, 1\); both must be positive"),
    ],
)
def test_a_view_that_could_mislead_is_refused(change, text):
    given = {"title": "a case", "spacing_mm": (1, 1, 1), "image": GREY, "reference": GREY,
             "predictions": {}}  # fmt: skip
    with pytest.raises(ValueError, match=f"view 'a case': .*{text}"):
        CaseView(**{**given, **change})
