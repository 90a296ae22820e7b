"""Cases to look at on a study's page: masks that are the study's, over the images of its data."""

import numpy as np
import pytest
from PIL import Image

from segrisk.report.results import CaseInfo, Model, Results
from segrisk.scores import Score
from segrisk.similarity import confusion, dice
from segrisk.study.config import Study
from segrisk.study.looking import views_of
from segrisk.study.plan import prepare_tasks
from segrisk.study.store import StoreError

CASES = ("a", "b")


def picture(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.fixture
def study(tmp_path):
    """A study, its tasks, its results, and the folder of its masks."""
    rows, scores = ["task,case,group,fold,seed,reference,soft_dice"], []
    for number, case in enumerate(CASES):
        label = np.zeros((16, 16), np.uint8)
        label[4:9, 3 : 9 + number] = 255
        mask = np.roll(label, 1 + number, 0)
        picture(tmp_path / f"data/images/{case}.png", label // 2 + np.uint8(40 + number))
        picture(tmp_path / f"data/labels/{case}.png", label)
        picture(tmp_path / f"masks/box/labels/{case}.png", label)
        for seed in (0, 1):
            picture(tmp_path / f"masks/box/seed{seed}/{case}.png", np.roll(mask, seed, 1))
            files = f"box/labels/{case}.png,box/seed{seed}/{case}.png"
            rows.append(f"box,{case},{case},{number},{seed},{files}")
            value = float(dice(confusion(np.roll(mask, seed, 1) > 0, label > 0)))
            key = ("box", "soft_dice", case, case, "foreground", number, seed)
            scores += [Score(*key, "dice", value), Score(*key, "jaccard", value / (2 - value))]
    (tmp_path / "masks/manifest.csv").write_text("\n".join(sorted(rows, reverse=True)) + "\n")
    task = {"folder": str(tmp_path / "data"), "size": [16, 16]}
    made = Study.model_validate({"name": "s", "tasks": {"box": task}, "losses": ["soft_dice"]})
    infos = tuple(CaseInfo("box", case, case, 0.1) for case in CASES)
    models = (Model("soft_dice", "sDice", "metric"),)
    results = Results("s", ("box",), models, infos, tuple(scores))
    return made, prepare_tasks(made, tmp_path / "prepared"), results, tmp_path / "masks"


def test_a_view_has_the_image_the_reference_and_the_mask_of_one_seed(study):
    views, folder = views_of(*study), study[-1]
    for case in CASES:
        view = views("box", "foreground", case)
        image = np.asarray(Image.open(folder.parent / f"data/images/{case}.png"))
        assert np.corrcoef(view.image[0].ravel(), image.ravel())[0, 1] > 0.999
        label = np.asarray(Image.open(folder / f"box/labels/{case}.png"))
        assert (view.reference[0] == (label > 0)).all()
        mask = np.asarray(Image.open(folder / f"box/seed{view.seed}/{case}.png"))
        assert (view.predictions["soft_dice"][0] == (mask > 0)).all()


def test_without_the_data_outlines_lie_on_grey(study, tmp_path):
    (tmp_path / "data").rename(tmp_path / "gone")
    view = views_of(*study)("box", "foreground", "a")
    assert (view.image == 128).all() and view.predictions["soft_dice"].any()


def test_masks_of_other_weights_are_not_shown_beside_these_scores(study):
    for seed in (0, 1):
        picture(study[-1] / f"box/seed{seed}/b.png", np.full((16, 16), 255, np.uint8))
    views = views_of(*study)
    assert views("box", "foreground", "a") is not None
    text = (
        r"masks: the mask of b by soft_dice has a Dice score of 0\.2.*write the masks of this study"
    )
    with pytest.raises(StoreError, match=text):
        views("box", "foreground", "b")


def test_a_folder_of_something_else_is_one_line(study):
    *given, folder = study
    with pytest.raises(StoreError, match=r"manifest.csv: cannot be read as the manifest of this"):
        views_of(*given, folder / "box")
    path = folder / "manifest.csv"
    text = path.read_text()
    path.write_text("\n".join(row for row in text.splitlines() if ",b," not in row))
    with pytest.raises(StoreError, match="has no b of box: give the folder that"):
        views_of(*given, folder)
    path.write_text(text.replace("soft_dice", "other"))
    with pytest.raises(StoreError, match=r"manifest of this study \('soft_dice'\)"):
        views_of(*given, folder)
