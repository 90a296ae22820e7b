"""The unit of a study's statistics, from the study file to the numbers of the report."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from segrisk.report.tasks import by_case, means, task_infos
from segrisk.study.collect import collect
from segrisk.study.config import Statistics, Study, statistics_digest
from segrisk.study.run import _recorded

POLYPS = Path(__file__).parents[2] / "studies/results/polyps"
"""1,000 cases in 979 groups."""


@pytest.fixture
def changed(tmp_path):
    """The committed study with another unit than the one that was declared."""
    for name in ("cells", "data"):
        (tmp_path / name).symlink_to(POLYPS / name)
    record = json.loads((POLYPS / "study.json").read_text())
    record["study"]["statistics"]["unit"] = "group_mean"
    (tmp_path / "study.json").write_text(json.dumps(record))
    return tmp_path


def test_a_study_s_unit_reaches_its_means_and_its_change_is_post_hoc(changed):
    results = collect(*_recorded(changed))
    assert results.plan.unit == "group_mean" and results.post_hoc
    tasks = task_infos(results)
    own = defaultdict(list)
    for score in results.scores:
        if (score.metric, score.model) == ("dice", "soft_dice"):
            own[score.group].append(score.value)
    wanted = sum(sum(values) / len(values) for values in own.values()) / len(own)
    found = means(tasks, by_case(tasks, results.scores))["polyps", "dice", "soft_dice"]
    assert len(own) == 979 and found == pytest.approx(wanted, abs=1e-12)


def test_statistics_without_a_unit_are_what_was_declared_before():
    record = json.loads((POLYPS / "study.json").read_text())
    study = Study.model_validate(record["study"])
    assert statistics_digest(study) == record["declared_statistics"]
    assert "unit" not in study.model_dump(mode="json")["statistics"]
    assert Statistics(unit="group_mean").model_dump()["unit"] == "group_mean"
