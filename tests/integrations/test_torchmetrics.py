"""Metric objects of torchmetrics against loops over images, and over two processes."""

import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

pytest.importorskip("torchmetrics", reason="torchmetrics is not installed")

from segrisk.integrations.torchmetrics import OverlapScore
from segrisk.similarity import SIMILARITIES, Confusion, confusion

CLASSES = 3


def batches(sizes=(3, 1, 2)):
    generator = torch.Generator().manual_seed(0)
    for size in sizes:
        scores = torch.randn(size, CLASSES, 5, 6, generator=generator)
        target = torch.randint(0, CLASSES, (size, 5, 6), generator=generator)
        target[0][target[0] == 2] = 0  # a class that is absent from an image
        yield scores, target


def looped(similarity, ignore=None, sizes=(3, 1, 2)):
    """The confusion of each image and foreground class, by hand."""
    rows = []
    for scores, target in batches(sizes):
        for labels, y in zip(scores.argmax(1), target, strict=True):
            keep = torch.ones_like(y, dtype=torch.bool) if ignore is None else y != ignore
            rows.append([confusion((labels == c)[keep], (y == c)[keep]) for c in (1, 2)])
    return rows


def filled(metric, sizes=(3, 1, 2)):
    for scores, target in batches(sizes):
        metric.update(scores, target)
    return metric


@pytest.mark.parametrize("similarity", ["dice", "jaccard", "kappa"])
def test_each_image_and_class_counts_once(similarity):
    values = [[float(SIMILARITIES[similarity](c)) for c in row] for row in looped(similarity)]
    expected = torch.tensor(values)
    metric = filled(OverlapScore(similarity, CLASSES))
    assert float(metric.compute()) == pytest.approx(float(expected.mean()), abs=1e-6)
    each = filled(OverlapScore(similarity, CLASSES, reduction="none")).compute()
    assert torch.allclose(each, expected.mean(0))


def test_pooled_counts_are_summed_before_the_ratio():
    rows = looped("dice")
    dice = SIMILARITIES["dice"]
    by_class = [sum((row[c] for row in rows), Confusion(0, 0, 0, 0)) for c in range(2)]
    pooled = filled(OverlapScore("dice", CLASSES, pool=("batch",), reduction="none"))
    assert pooled.compute().tolist() == pytest.approx([float(dice(c)) for c in by_class])
    all_in_one = filled(OverlapScore("dice", CLASSES, pool=("batch", "class")))
    assert float(all_in_one.compute()) == pytest.approx(float(dice(by_class[0] + by_class[1])))
    images = [float(dice(row[0] + row[1])) for row in rows]
    of_image = filled(OverlapScore("dice", CLASSES, pool=("class",)))
    assert float(of_image.compute()) == pytest.approx(sum(images) / len(images))


def test_ignored_voxels_count_for_nothing():
    rows = looped("dice", ignore=0)
    expected = [float(SIMILARITIES["dice"](c)) for row in rows for c in row]
    metric = filled(OverlapScore("dice", CLASSES, ignore_index=0))
    assert float(metric.compute()) == pytest.approx(sum(expected) / len(expected))
    nothing = OverlapScore(ignore_index=255)
    nothing.update(torch.ones(1, 4, dtype=torch.bool), torch.full((1, 4), 255))
    assert nothing.compute().isnan()


@pytest.mark.parametrize("convention, expected", [("segrisk", 1.0), ("nnunet", float("nan"))])
def test_two_empty_masks_score_what_the_convention_says(convention, expected):
    metric = OverlapScore(convention=convention)
    metric.update(torch.zeros(2, 1, 3, 3, dtype=torch.bool), torch.zeros(2, 3, 3, dtype=torch.long))
    assert float(metric.compute()) == pytest.approx(expected, nan_ok=True)


def test_reset_forgets_and_forward_gives_the_batch():
    metric = OverlapScore("dice")
    right = torch.tensor([[1, 1, 0, 0]])
    assert float(metric(right, right)) == 1
    assert float(metric(1 - right, right)) == 0
    assert float(metric.compute()) == 0.5
    metric.reset()
    metric.update(right, right)
    assert float(metric.compute()) == 1


def test_overlapping_classes_are_channels():
    generator = torch.Generator().manual_seed(1)
    p, y = (torch.rand(2, 3, 8, generator=generator) > 0.5 for _ in range(2))
    metric = OverlapScore("dice", 3, overlapping=True, reduction="none")
    metric.update(p, y.float())
    dice = SIMILARITIES["dice"]
    expected = [
        sum(float(dice(confusion(p[b, c], y[b, c]))) for b in range(2)) / 2 for c in range(3)
    ]
    assert metric.compute().tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    "options, prediction, target, message",
    [
        ({}, torch.randn(1, 1, 4), torch.zeros(1, 4), "other than 0 and 1: decide first"),
        ({"classes": 3}, torch.zeros(1, 4).long(), torch.full((1, 4), 7), "other than 0 to 2"),
        ({"classes": 3}, torch.zeros(1, 5).long(), torch.zeros(1, 4).long(), "of one grid"),
        ({"classes": 3}, torch.zeros(1, 2, 4), torch.zeros(1, 4).long(), r"give scores \(B, 3"),
        (
            {"classes": 3, "overlapping": True},
            torch.zeros(1, 4),
            torch.zeros(1, 4),
            r"are channels \(B, 3",
        ),
    ],
)
def test_what_is_no_mask_is_refused(options, prediction, target, message):
    with pytest.raises(ValueError, match=message):
        OverlapScore(**options).update(prediction, target)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"similarity": "dise"}, "did you mean 'dice'"),
        ({"convention": "monay"}, "did you mean 'monai'"),
        ({"pool": "batch"}, "pool is a tuple of names"),
        ({"reduction": "sum"}, "reduction must be 'mean' or 'none'"),
        ({"classes": 0}, "classes must be at least 1"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        OverlapScore(**options)


POOLS = ((), ("batch",))
FIRST = (2, 3)
"""How many of the three batches the first process has: the second has one, or none."""


def part(pool, batches_of_process):
    metric = OverlapScore("dice", CLASSES, pool=pool)
    for batch in batches_of_process:
        metric.update(*batch)
    return float(metric.compute())


def process(rank, port, folder):
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    everything = list(batches())
    found = [
        part(pool, everything[first:] if rank else everything[:first])
        for pool in POOLS
        for first in FIRST
    ]
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_processes_with_unlike_numbers_of_images_agree_with_one(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(process, args=(port, str(tmp_path)), nprocs=2)
    expected = [part(pool, batches()) for pool in POOLS for _ in FIRST]
    assert expected[0] != expected[-1]
    for rank in range(2):
        assert torch.load(tmp_path / f"{rank}.pt") == pytest.approx(expected, abs=1e-6)
