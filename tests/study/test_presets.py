"""The presets of the paper: its numbers, the page that explains the others, and that they run."""

import itertools
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml

import image_trees as trees
from segrisk.configuration import ConfigurationError
from segrisk.losses import PAPER
from segrisk.networks.layers import check
from segrisk.study.config import Study
from segrisk.study.plan import plan, prepare_tasks
from segrisk.study.reading import load_study, read_study
from tiny_study import ROOT, command, environment

PRESETS = ROOT / "studies/paper"
MR = ("MR_ADC", "MR_MTT", "MR_rBF", "MR_rBV", "MR_Tmax", "MR_TTP")
CT = ("CT", "CT_CBF", "CT_CBV", "CT_MTT", "CT_Tmax")

# Section 3, word by word: network, dimensions, batch, learning rates of both phases. The channels
# are those of the sets: "all image modalities available".
PAPER_SAYS = {
    "br18": ("isensee", 3, 4, 1e-3, 1e-4, 4),
    "is17": ("isensee", 3, 4, 1e-3, 1e-4, 6),
    "is18": ("isensee", 3, 4, 1e-3, 1e-4, 5),
    "mo17": ("isensee", 2, 40, 1e-3, 1e-3, 1),
    "po18": ("vgg16", 2, 16, 1e-4, 1e-4, 3),
}


def pictures(root: Path, colour: bool) -> None:
    for index in range(6):
        shape = (12, 10, 3) if colour else (12, 10)
        image = np.random.default_rng(index).integers(0, 255, shape, dtype=np.uint8)
        mask = np.zeros((12, 10), np.uint8)
        mask[2:8, 2 : 4 + index] = 255
        trees.picture(root / f"images/p{index}.png", image)
        trees.picture(root / f"masks/p{index}.png", mask)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Every set, small, with the names and places that its publishers gave it."""
    root = tmp_path_factory.mktemp("data")
    for seed in range(6):
        grade = ("HGG", "LGG")[seed % 2]
        folder = root / f"MICCAI_BraTS_2018_Data_Training/{grade}/Brats18_TCIA0{seed}_11{seed}_1"
        trees.brats_case(folder, trees.BEFORE_2023, seed=seed)
    trees.isles(root / "ISLES2017/training", "MR", MR, "training", count=6)
    trees.isles(root / "ISLES2018/TRAINING", "CT", CT, "case", count=6)
    pictures(root / "MO17", colour=False)
    pictures(root / "PO18", colour=True)
    return root


@pytest.fixture(autouse=True)
def placed(monkeypatch, data):
    monkeypatch.setenv("SEGRISK_DATA", str(data))


def small(tmp_path, name, network, size, losses) -> Path:
    """A preset with a small network and size, one epoch, and two folds."""
    phase = {"max_epochs": 1}
    task = {"size": size, "network": network}
    content = {
        "include": str(PRESETS / f"{name}.yaml"),
        "tasks": {name.upper(): task},
        "folds": 2,
        "schedule": {"cross_entropy": phase, "loss": phase},
        "losses": losses,
        "statistics": {"resamples": 99},
    }
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


# What the paper says


@pytest.mark.parametrize("name", PAPER_SAYS)
def test_a_preset_says_what_the_paper_says(name):
    network, dimensions, batch, first, second, channels = PAPER_SAYS[name]
    study = read_study(PRESETS / f"{name}.yaml")
    (task,) = study.tasks.values()
    assert (task.network.name, len(task.size)) == (network, dimensions)
    check(task.network, size=task.size, channels=channels)
    schedule = task.schedule
    assert schedule.batch_size == batch
    assert schedule.cross_entropy.learning_rate == first
    assert schedule.loss.learning_rate == second
    assert network == "vgg16" or len(task.network.channels) == 7
    assert network == "isensee" or task.network.weights == "imagenet"
    assert tuple(loss.name for loss in study.losses) == PAPER and len(PAPER) == 5
    assert (study.folds, study.statistics.alpha) == (5, 0.05)
    assert study.statistics.marks == "bootstrap"
    assert study.statistics.metrics == ("dice", "jaccard")
    # noise, translations, flips, and rotations in the plane
    augmentation = task.augmentation
    assert min(augmentation.noise, augmentation.shift, augmentation.rotate_degrees) > 0
    assert augmentation.flip == (0, 1)


def test_the_presets_are_five_and_all_of_them():
    names = {path.stem for path in PRESETS.glob("*.yaml")}
    assert names == {*PAPER_SAYS, "common", "all"}


# What the paper leaves open


def rows() -> dict[str, str]:
    """Of the page's table of keys, the value of each."""
    text = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    section = text.split("## Every key, its value and why")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `([\w.]+)` \| (.*?) \|", section, re.MULTILINE))


def leaves(content, place=""):
    for key, value in content.items():
        if key == "tasks":
            for task in value.values():
                yield from leaves(task)
        elif isinstance(value, dict):
            yield from leaves(value, f"{place}{key}.")
        else:
            yield place + key, value


def declared() -> dict[str, set[str]]:
    """Every key that a preset writes, with the values that it has there."""
    found: dict[str, set[str]] = {}
    for path in PRESETS.glob("*.yaml"):
        for key, value in leaves(yaml.safe_load(path.read_text())):
            whole = not isinstance(value, list) or key in ("size", "network.channels")
            for one in [value] if whole else value:
                found.setdefault(key, set()).add(str(one).removeprefix("$SEGRISK_DATA/"))
    return found


def test_the_page_explains_every_key_of_the_presets_with_its_values():
    page, wanted = rows(), declared()
    assert set(page) == set(wanted)
    assert len(wanted) > 30
    for key, values in wanted.items():
        if key == "include":
            continue
        given = set(re.findall(r"\[[^\]]*\]|[^,]+", page[key].replace(", [", ",["))) - {","}
        assert {one.strip() for one in given} == values, key


# Including


def test_all_has_the_cells_of_the_five(tmp_path, data):
    sizes = {"BR18": [8, 8, 8], "IS17": [8, 8, 8], "IS18": [8, 8, 8], "MO17": [8, 8]}
    tasks = {name: {"size": size, "network": {"channels": [2, 4]}} for name, size in sizes.items()}
    tasks["PO18"] = {"size": [8, 8], "network": {"weights": "random"}}

    def keys(name: str) -> list[str]:
        own = tasks if name == "all" else {name.upper(): tasks[name.upper()]}
        path = tmp_path / f"{name}.yaml"
        content = {"include": str(PRESETS / f"{name}.yaml"), "tasks": own}
        path.write_text(yaml.safe_dump(content))
        study = load_study(path)
        return [cell.key for cell in plan(study, prepare_tasks(study, tmp_path / "data"))]

    with pytest.warns(UserWarning, match="TRAINING: has several cases of one patient"):
        whole = keys("all")
        assert whole == list(itertools.chain(*map(keys, PAPER_SAYS)))
    assert len(set(whole)) == 5 * 5 * (1 + 5)


def includes(folder: Path, **files) -> Path:
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return folder / "own.yaml"


TASK = {"phantom": "molar", "size": [16, 16]}


def test_a_file_stands_over_what_it_includes(tmp_path):
    (tmp_path / "below").mkdir()
    includes(tmp_path / "below", base={"folds": 3, "tasks": {"a": {"folder": "d", "size": [8, 8]}}})
    own = {"include": "below/base.yaml", "name": "own", "tasks": {"a": {"size": [16, 16]}}}
    study = read_study(includes(tmp_path, own=own))
    assert (study.name, study.folds, study.tasks["a"].size) == ("own", 3, (16, 16))
    assert study.tasks["a"].folder == str(tmp_path / "below/d")  # seen from its own file


def test_a_recorded_study_does_not_know_of_files(tmp_path):
    own = includes(tmp_path, base={"tasks": {"a": TASK}}, own={"include": "base.yaml", "name": "x"})
    study = read_study(own)
    assert Study.model_validate(study.model_dump(mode="json")) == study
    assert "include" not in study.model_dump()


@pytest.mark.parametrize(
    ("files", "text"),
    [
        (
            {"b": {"folds": 3}, "c": {"folds": 4}, "own": {"include": ["b.yaml", "c.yaml"]}},
            r"own.yaml: c.yaml and a file included before it differ in 'folds' \(4, 3\): say it",
        ),
        (
            {
                "b": {"schedule": {"batch_size": 4}},
                "c": {"schedule": {"batch_size": 9}},
                "own": {"include": ["b.yaml", "c.yaml"], "schedule": {"loss": {}}},
            },
            "differ in 'schedule.batch_size'",
        ),
        ({"own": {"include": "own.yaml"}}, "own.yaml: includes itself: take it out"),
        (
            {"b": {"include": "own.yaml"}, "own": {"include": "b.yaml"}},
            "own.yaml: includes itself",
        ),
        ({"own": {"include": "none.yaml"}}, "none.yaml: cannot be read"),
        ({"own": {"include": {"a": 1}}}, "'include' must be the name of a study file, or a list"),
    ],
)
def test_what_cannot_be_included_is_one_line(tmp_path, files, text):
    with pytest.raises(ConfigurationError, match=text) as error:
        read_study(includes(tmp_path, **files))
    assert "\n" not in str(error.value)


def test_what_differs_below_is_decided_above(tmp_path):
    one, other = {"folds": 3, "tasks": {"a": TASK}}, {"folds": 4}
    own = {"include": ["b.yaml", "c.yaml"], "name": "own", "folds": 5}
    assert read_study(includes(tmp_path, b=one, c=other, own=own)).folds == 5


# Running


@pytest.mark.parametrize(
    ("name", "network", "size", "losses"),
    [
        ("br18", {"channels": [2, 4]}, [8, 8, 8], ["cross_entropy", "lovasz_sigmoid"]),
        ("po18", {"weights": "random"}, [8, 8], ["soft_dice"]),
    ],
)
def test_a_preset_runs_to_its_table(tmp_path, data, name, network, size, losses):
    path = small(tmp_path, name, network, size, losses)
    result = subprocess.run(
        command("study", "run", path, "--out", tmp_path / "out"),
        capture_output=True,
        text=True,
        env={**environment(), "SEGRISK_DATA": str(data), "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads((tmp_path / "out/report/report.json").read_text())
    assert [row["model"] for row in report["means"] if row["metric"] == "dice"] == losses
    assert report["plan"]["marks"] == "bootstrap" and not report["post_hoc"]
    table = (tmp_path / "out/report/table1.md").read_text()
    wanted = "the paper's two-sided paired bootstrap" if len(losses) > 1 else "nothing is tested"
    assert wanted in table
