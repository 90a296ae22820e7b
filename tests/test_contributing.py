"""The changes of the contribution guide apply to the source, and what they add works."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CHANGES = dict(
    re.findall(
        r"<!-- change: (\w+) -->\n```diff\n(.*?)^```$",
        (ROOT / "CONTRIBUTING.md").read_text(),
        re.DOTALL | re.MULTILINE,
    )
)
CHECKS = {
    "similarity": """
import itertools, sys, torch
sys.path.insert(0, "tests")
import reference
from segrisk.losses import Lovasz, Soft
from segrisk.similarity import SIMILARITIES, Confusion, confusion
new = SIMILARITIES["sokal_sneath"]
assert new.tversky_weights == (2, 2) and new.is_symmetric and not new.counts_background
for mask, truth in itertools.product(itertools.product((False, True), repeat=3), repeat=2):
    score = new(confusion(torch.tensor(mask), torch.tensor(truth)))
    assert abs(score - reference.sokal_sneath(mask, truth)) < 1e-9
    assert (score == 1) == (mask == truth)
    logits = torch.where(torch.tensor(mask), 40.0, -40.0)[None, None]
    if any(truth):
        for loss in (Soft(new), Lovasz(new)):
            found = loss(logits, torch.tensor(truth).long()[None, None])
            assert abs(float(found) - (1 - score)) < 1e-6
""",
    "reader": """
import numpy as np
from pathlib import Path
from PIL import Image
from segrisk.data.errors import DataError
from segrisk.data.folder import Folder
from segrisk.data.layouts.choose import layout_of
from segrisk.data.readers import read_folder
root = Path("pictures"); root.mkdir()
disc = np.zeros((8, 8), np.uint8); disc[2:5, 2:5] = 255
for name in ("a", "b", "a_mask", "b_mask"):
    Image.fromarray(disc).save(root / f"{name}.png")
assert layout_of(root) == "flat"
cases = list(read_folder(Folder(root)))
assert [case.id for case in cases] == ["a", "b"]
Image.fromarray(disc).save(root / "c.png")
try:
    list(read_folder(Folder(root)))
except DataError as error:
    assert "case c has no mask" in str(error)
else:
    raise AssertionError("a missing mask was not seen")
""",
    "network": """
from pydantic import TypeAdapter
from segrisk.networks import NETWORKS, AnyNetwork
from segrisk.networks.layers import check
network = TypeAdapter(AnyNetwork).validate_python({"name": "plain", "width": 4})
assert type(network) is NETWORKS["plain"]
for dimensions in (2, 3):
    check(network, size=(8,) * dimensions, channels=2)
""",
    "rule": """
import doctest
import segrisk.decision
from segrisk.decision import as_json, from_json, named, named_rules, rules
from segrisk.similarity import dice
assert segrisk.decision.PriorThreshold in map(type, named_rules(dice).values())
fitted = named_rules(dice)["prior"].fit([([0.9, 0.2], [True, False])])
assert fitted.value == 0.5 and fitted.decide([0.6, 0.4]).tolist() == [True, False]
assert from_json(as_json(fitted)) == fitted
for module in (named, rules):
    assert doctest.testmod(module).failed == 0
""",
}


def changed(name, folder):
    """A copy of the files that a change touches, and of the source, with the change made."""
    # With what is compiled: it is made again where its source has changed.
    shutil.copytree(ROOT / "src", folder / "src")
    for file in re.findall(r"^--- a/((?:tests|docs)/\S+)$", CHANGES[name], re.MULTILINE):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, folder / file)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    subprocess.run(
        ["git", "apply", "--whitespace=error-all"],
        cwd=folder,
        input=CHANGES[name],
        text=True,
        check=True,
    )


def test_every_kind_of_change_is_shown():
    assert set(CHANGES) == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_the_change_applies_and_works(name, tmp_path):
    changed(name, tmp_path)
    code = "import segrisk; assert 'src/segrisk' in segrisk.__file__\n" + CHECKS[name]
    run = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:segrisk", "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


def test_the_similarity_is_one_line_of_the_source():
    (source,) = re.findall(
        r"^\+\+\+ b/src/segrisk/similarity\.py\n(.*?)(?=^diff |\Z)",
        CHANGES["similarity"],
        re.DOTALL | re.MULTILINE,
    )
    assert len(re.findall(r"^\+", source, re.MULTILINE)) == 1
