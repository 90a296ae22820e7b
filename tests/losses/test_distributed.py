"""Two processes with half of the batch each against one with the whole."""

import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from segrisk.losses import CrossEntropy, LovaszJaccard, SoftDice, SoftJaccard

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="torch without distributed")

LOSSES = {
    "images": lambda group: SoftDice(group=group),
    "skipped": lambda group: SoftJaccard(empty="skip", group=group),
    "pooled": lambda group: SoftDice(pool=("batch",), group=group),
    "everything": lambda group: SoftJaccard(pool=("batch", "class"), group=group),
    "cross-entropy": lambda group: CrossEntropy(pool=("batch",), ignore_index=2, group=group),
    "lovasz": lambda group: LovaszJaccard(pool=("batch",), group=group),
    "sum": lambda group: 0.5 * CrossEntropy(group=group) + SoftDice(pool=("batch",), group=group),
}


def data():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 3, 50, generator=generator, dtype=torch.float64)
    target = torch.randint(0, 3, (4, 50), generator=generator)
    target[0] = 0
    return logits, target


def process(rank, port, folder):
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    logits, target = (part[2 * rank : 2 * rank + 2] for part in data())
    results = {}
    for name, make in LOSSES.items():
        x = logits.clone().requires_grad_()
        value = make(dist.group.WORLD)(x, target)
        value.backward()
        results[name] = (value.detach(), x.grad)
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_are_one_batch(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(process, args=(port, str(tmp_path)), nprocs=2)
    parts = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for name, make in LOSSES.items():
        logits, target = data()
        logits.requires_grad_()
        if name == "lovasz":
            loss = LovaszJaccard(pool=("batch",))
            value = loss._compute_levels(_batch(logits, target), 2**14)
        else:
            value = make(None)(logits, target)
        value.backward()
        for part in parts:
            assert float(part[name][0]) == pytest.approx(float(value.detach()), abs=1e-12), name
        # Data-parallel training takes the mean over processes.
        gradient = torch.cat([part[name][1] for part in parts]) / 2
        assert torch.allclose(gradient, logits.grad, rtol=0, atol=1e-8), name


def _batch(logits, target):
    from segrisk.losses.door import prepare

    return prepare(logits, target)


def test_errors_cannot_be_sorted_across_processes():
    loss = LovaszJaccard(pool=("batch",), exact=True, group=object())
    with pytest.raises(ValueError, match="cannot be sorted across processes"):
        loss(*data())
