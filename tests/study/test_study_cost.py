"""What a study says of its cost, and what of that is part of a cell's name."""

import csv
import json
import os

import pytest

from segrisk.configuration import validate
from segrisk.report.results import Effort
from segrisk.study import plan as planning
from segrisk.study.collect import _unended
from segrisk.study.config import Study
from segrisk.study.local import default_workers
from segrisk.study.plan import plan, prepare_tasks
from segrisk.training.timing import PHASES
from tiny_study import TINY

HASHED = {
    "data",
    "split",
    "stream",
    "network",
    "augmentation",
    "batch_size",
    "threads",
    "precision",
    "device",
    "torch",
    "components",
    "phase",
}
"""What the start of a study from before any of these options is named by."""


def study(**changes):
    return validate(Study, {**TINY, "device": "cpu", **changes}, "study.yaml")


@pytest.fixture
def named(tmp_path, monkeypatch):
    """What the first start of a study is named by."""

    def named(**changes):
        given = study(**changes)
        tasks = prepare_tasks(given, tmp_path)
        hashed = []
        original = planning.digest
        monkeypatch.setattr(planning, "digest", lambda value: hashed.append(value) or "0" * 64)
        plan(given, tasks)
        monkeypatch.setattr(planning, "digest", original)
        return hashed[0]

    return named


def test_what_is_unset_is_no_part_of_a_name_or_a_record(named):
    assert named().keys() == HASHED == named(compile=False).keys()
    assert "compile" not in study(compile=False).model_dump(mode="json")
    assert study(compile=True).model_dump(mode="json")["compile"] is True


def test_what_changes_the_bits_is_part_of_the_name(named):
    assert named(compile=True).keys() == HASHED | {"compile"}
    assert named(device="cuda").keys() == HASHED
    assert named(device="cuda", precision="bf16-mixed").keys() == HASHED
    still = {"noise": 0, "shift": 0, "rotate_degrees": 0, "flip": []}
    assert named(augmentation=still)["augmentation"] is None
    assert named(augmentation={**still, "flip": [0]})["augmentation"]["flip"] == [0]


def test_a_gpu_runs_one_training_at_a_time_unless_told_otherwise():
    assert default_workers(study(device="cuda")) == 1
    processors = len(os.sched_getaffinity(0))
    assert default_workers(study()) == processors
    assert default_workers(study(threads=2 * processors)) == 1


def test_every_training_says_where_its_time_went(finished):
    out = finished[0] / "out"
    for path in out.glob("cells/*/effort.json"):
        effort = json.loads(path.read_text())
        assert tuple(effort["phases"]) == PHASES
        assert sum(effort["phases"].values()) == pytest.approx(effort["seconds"], abs=0.01)
    with (out / "report" / "efforts.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 and all(float(row["backward_seconds"]) > 0 for row in rows)
    assert "Where the time went on molar" in (out / "report" / "report.html").read_text()


def test_trainings_that_were_cut_off_are_counted():
    best = {"t": (9, 3, 9), "u": (3, 3)}
    efforts = [Effort(task, "m", 0, 0, 9, at, at, 1.0) for task in best for at in best[task]]
    (note,) = _unended(efforts)
    assert note.startswith("t: 2 of 3 trainings were best in their last epoch")
