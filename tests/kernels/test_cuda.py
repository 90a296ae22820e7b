"""What can be known of the CUDA path without a GPU."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.overrides import TorchFunctionMode

from segrisk.kernels import operators
from segrisk.losses import (
    CrossEntropy,
    Focal,
    Lovasz,
    LovaszJaccard,
    SoftDice,
    SoftJaccard,
    TopK,
    WeightedCrossEntropy,
)
from segrisk.similarity import dice

needs_triton = pytest.mark.skipif(not operators.HAS_TRITON, reason="triton is not installed")
HERE, ROOT = Path(__file__).resolve().parent, Path(__file__).resolve().parents[2]
VOXELS = 2**14


def run(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout


@needs_triton
def test_kernels_agree_with_the_reference():
    """In Triton's interpreter, in a process of its own: it must be chosen before the import."""
    file = str(HERE / "cuda_agreement.py")
    interpreted = "0" if torch.cuda.is_available() else "1"
    output = run("-m", "pytest", "-q", file, TRITON_INTERPRET=interpreted)
    assert int(re.search(r"(\d+) passed", output)[1]) > 50


@needs_triton
def test_kernels_compile_for_a_gpu(tmp_path):
    """To machine code of an H100, which takes no GPU; registers suffice and loads are shared."""
    output = run(str(HERE / "compile_for_gpu.py"), TRITON_CACHE_DIR=str(tmp_path))
    lines = [dict(re.findall(r"(\w+)=(\S+)", line)) for line in output.splitlines()]
    names = {line["kernel"] for line in lines}
    assert names == {"masses", "histogram", "collect", "gradient", "jaccard_tables"}
    for line in lines:
        assert int(line["local"]) == 0 and int(line["registers"]) <= 255, line
        if line["kernel"] in {"masses", "histogram", "gradient"} and int(line["classes"]) <= 4:
            assert line["logits_read"] == line["logits"], line


class Unasked(TorchFunctionMode):
    """Refuses what brings numbers from the host to a device or back, for which a GPU's host waits.

    Tensors on the device `meta` hold no values, so whatever asks for one by another way raises.
    """

    COPIES = (
        torch.tensor,
        torch.as_tensor,
        torch.from_numpy,
        torch.Tensor.new_tensor,
        torch.Tensor.item,
        torch.Tensor.tolist,
        torch.Tensor.cpu,
        torch.Tensor.numpy,
    )

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in self.COPIES:
            raise AssertionError(f"{function.__name__} makes the host of a GPU wait")
        return function(*args, **(kwargs or {}))


def on_no_device(classes, requires_grad=True):
    logits = torch.empty(2, classes, VOXELS, device="meta", requires_grad=requires_grad)
    return logits, torch.empty(2, VOXELS, dtype=torch.int64, device="meta")


LOSSES = [
    0.5 * CrossEntropy(ignore_index=255) + SoftJaccard(ignore_index=255),
    SoftDice(pool=("batch", "class"), empty="skip", background=False),
    SoftDice(relaxation="squared", class_weight=(1, 2, 3)),
    WeightedCrossEntropy(weights=(1, 2, 3)),
    LovaszJaccard(class_weight=(1, 2, 3)),
    LovaszJaccard(exact=True),
    Lovasz(dice, pool=("batch",)),
    Focal(),
    TopK(),
]


@pytest.mark.parametrize("served", [True, False])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.label)
def test_losses_ask_a_gpu_for_nothing(monkeypatch, loss, served):
    monkeypatch.setattr(operators, "compiled", lambda device: served)
    logits, target = on_no_device(3)
    weight = torch.empty(2, VOXELS, device="meta")
    with Unasked():
        value = loss(logits, target, weight=weight, mask=weight > 0)
        value.backward()
    assert logits.grad.shape == logits.shape
    with pytest.raises(AssertionError, match="item makes the host of a GPU wait"), Unasked():
        value.item()
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        bool(value > 0)


class NoKernels:
    """Stands for the module of kernels, and launches none."""

    def __getattr__(self, name):
        return {(n,): lambda *args, **options: None for n in range(10**4)}


@needs_triton
@pytest.mark.parametrize("classes", [1, 3, 40])
def test_launches_ask_a_gpu_for_nothing(monkeypatch, classes):
    from segrisk.kernels import cuda

    monkeypatch.setattr(cuda, "blocks", NoKernels())
    logits, labels = on_no_device(classes, requires_grad=False)
    weight = torch.empty(2, VOXELS, device="meta")
    with Unasked():
        for given in ((None, None), (weight, 255)):
            table, bad = cuda.masses(logits, labels, *given)
            gradient = cuda.masses_backward(table, logits, labels, *given)
            counts, also_bad = cuda.histogram(logits, labels, *given, 64)
            value, slopes = cuda.lovasz_jaccard_tables(counts)
            more = cuda.histogram_backward(slopes, value, logits, labels, *given)
    assert table.shape == (2, classes, 6) and counts.shape == slopes.shape == (2, classes, 2, 64)
    assert value.shape == (2, classes) and gradient.shape == more.shape == logits.shape
    assert all(result.device.type == "meta" for result in (table, bad, counts, also_bad, value))


def test_what_is_served(monkeypatch):
    """By device, type of logits and labels; the rest takes the reference."""
    monkeypatch.setattr(operators, "HAS_NUMBA", True)
    monkeypatch.setattr(operators, "HAS_TRITON", True)
    logits, labels = torch.zeros(1, 2, 3), torch.zeros(1, 3, dtype=torch.uint8)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        assert operators.serve(logits.to(dtype), labels, None, "softmax")
    assert not operators.serve(logits.double(), labels, None, "softmax")
    assert not operators.serve(logits, labels.float(), None, "softmax")
    one_hot = torch.zeros(1, 2, 3, dtype=torch.uint8)
    assert operators.serve(logits, one_hot, None, "sigmoid")
    assert not operators.serve(logits, one_hot, None, "softmax")
    assert not operators.serve(logits, labels, torch.ones(1, 3, requires_grad=True), "softmax")
    assert operators.compiled(torch.device("cuda", 1))
    assert not operators.compiled(torch.device("meta"))
    monkeypatch.setattr(operators, "HAS_TRITON", False)
    assert not operators.compiled(torch.device("cuda")) and operators.compiled(torch.device("cpu"))
    monkeypatch.setattr(operators, "HAS_NUMBA", False)
    assert not operators.compiled(torch.device("cpu"))


@pytest.mark.parametrize(("version", "served"), [("3.3.1", False), ("3.4.0", True), ("4.0", True)])
def test_old_triton_leaves_the_reference(monkeypatch, version, served):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr("importlib.metadata.version", lambda name: version)
    assert operators._has_triton() is served


def test_triton_is_not_imported_before_it_is_needed():
    code = "import sys, segrisk.losses; print('triton' in sys.modules)"
    assert run("-c", code, PYTHONPATH=str(ROOT / "src")).strip() == "False"
