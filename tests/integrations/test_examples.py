"""The examples run, and the page shows how they differ from the usual ones."""

import importlib.util
import re
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
NEEDS = {
    "plain_pytorch": "torchmetrics",
    "lightning": "pytorch_lightning",
    "torchio": "torchio",
    "smp": "segmentation_models_pytorch",
}
SCORE = re.compile(r"^(Dice|Jaccard|loss) (\d\.\d+)$", re.MULTILINE)


def smp_stand_in():
    """SMP's network as the example calls it: logits (B, classes, H, W) of (B, channels, H, W)."""

    def unet(encoder_name, encoder_weights, in_channels, classes):
        assert (encoder_name, encoder_weights) == ("resnet18", None)
        return nn.Conv2d(in_channels, classes, 5, padding=2)

    module = ModuleType("segmentation_models_pytorch")
    module.Unet = unet
    return module


@pytest.mark.filterwarnings(
    "ignore:.*isinstance.treespec, LeafSpec.:FutureWarning",
    "ignore:.*does not have many workers:UserWarning",
    "ignore:.*isinstance.treespec, LeafSpec.:UserWarning",
    "ignore:The number of training batches:UserWarning",
    "ignore::DeprecationWarning",
)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", NEEDS)
def test_an_example_runs(name, when, capsys, monkeypatch, tmp_path):
    if importlib.util.find_spec(NEEDS[name]) is None:
        if (name, when) != ("smp", "after"):
            pytest.skip(f"{NEEDS[name]} is not installed")
        monkeypatch.setitem(sys.modules, NEEDS[name], smp_stand_in())
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(ROOT / "examples" / name / f"{when}.py"), run_name="__main__")
    torch.use_deterministic_algorithms(False)
    (found,) = SCORE.findall(capsys.readouterr().out)
    assert 0 < float(found[1]) < 1


def test_every_example_is_shown_as_it_is():
    made = runpy.run_path(str(ROOT / "docs" / "make_example_diffs.py"))
    page = (ROOT / "docs" / "integrations.md").read_text()
    assert made["BLOCK"].findall(page) == [
        (f"<!-- diff of {name} -->\n", name)
        for name in ("plain_pytorch", "lightning", "smp", "torchio")
    ]
    assert page == made["with_differences"](page), "run python docs/make_example_diffs.py"


@pytest.mark.parametrize("name", NEEDS)
def test_five_lines_change(name):
    shown = runpy.run_path(str(ROOT / "docs" / "make_example_diffs.py"))["difference"](name)
    assert 0 < len(re.findall(r"^\+", shown, re.MULTILINE)) <= 5


def test_the_bundle_on_the_page_is_the_examples():
    page = (ROOT / "docs" / "integrations.md").read_text()
    config = (ROOT / "examples" / "monai_hippocampus" / "configs" / "train.yaml").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    lines = [line.strip() for line in config.splitlines()]
    assert all(line in lines for line in block.splitlines())
