"""Counts of hard masks as tensors, and their scores: what metric objects of other tools add up."""

import math

import torch
from torch import Tensor

from segrisk.metrics import CONVENTIONS, MEASURES, Convention, Measure
from segrisk.names import nearest
from segrisk.similarity import SIMILARITIES, Confusion


def as_classes(target: Tensor, logits: Tensor) -> Tensor:
    """Labels as losses take them, from loaders that give one label for each voxel as a float.

    A float target (B, *space) or (B, 1, *space) of logits of several classes becomes int64; all
    others pass. ValueError for a label that is no whole number; on a GPU, where looking would
    wait, and in a compiled graph it becomes one that is out of range, whose loss is NaN.

    >>> as_classes(torch.tensor([[[0.0, 2.0]]]), torch.zeros(1, 3, 2))
    tensor([[[0, 2]]])
    """
    one_label = logits.shape[1] > 1 and target.shape != logits.shape
    if not (one_label and target.is_floating_point()):
        return target
    whole = target == target.round()
    looks = target.device.type == "cpu" and not torch.compiler.is_compiling()
    if looks and not bool(whole.all()):
        value = float(target[~whole].flatten()[0])
        raise ValueError(
            f"the target holds {value:.6g}, which is no label: resample labels by the nearest "
            "voxel, or give one channel for each class"
        )
    return torch.where(whole, target, torch.iinfo(torch.int16).min).long()


def masses(prediction: Tensor, target: Tensor, ignore: Tensor | None = None) -> Confusion:
    """The counts (B, C) of boolean channels (B, C, V); voxels of `ignore` count for nothing.

    >>> masses(torch.tensor([[[True, True, False]]]), torch.tensor([[[True, False, False]]]))
    Confusion(tp=tensor([[1]]), fp=tensor([[1]]), fn=tensor([[0]]), tn=tensor([[1]]))
    """
    valid = torch.ones_like(target) if ignore is None else (~ignore).expand_as(target)
    cells = (prediction & target, prediction & ~target, ~prediction & target)
    tp, fp, fn = (((cell & valid).sum(-1)) for cell in cells)
    return Confusion(tp, fp, fn, valid.sum(-1) - tp - fp - fn)


def overlap(name: str) -> Measure:
    """The measure of a similarity's name.

    >>> overlap("jacard")
    Traceback (most recent call last):
    ValueError: no similarity is called 'jacard'; did you mean 'jaccard'?
    """
    if not isinstance(name, str):
        raise TypeError(f"give the name of a similarity as text, got {name!r}")
    if name not in SIMILARITIES:
        raise ValueError(f"no similarity is called '{name}'{nearest(name, SIMILARITIES)}")
    return MEASURES[name]


def convention_of(name: str) -> Convention:
    """The convention for empty masks of a name; see `segrisk.metrics.CONVENTIONS`."""
    if name not in CONVENTIONS:
        raise ValueError(f"no convention is called '{name}'{nearest(name, CONVENTIONS)}")
    return CONVENTIONS[name]


def scores(counts: Confusion, measure: Measure, convention: Convention) -> Tensor:
    """The score of each count, float64; NaN where the convention gives none, or no voxel counts.

    >>> empty = Confusion(*(torch.tensor(count) for count in (0, 0, 0, 9)))
    >>> scores(empty, overlap("dice"), convention_of("segrisk"))
    tensor(1., dtype=torch.float64)
    >>> scores(empty, overlap("dice"), convention_of("nnunet"))
    tensor(nan, dtype=torch.float64)
    """
    values = measure.similarity(Confusion(*(count.double() for count in counts)))
    rule = convention.rule(measure)
    no_reference, no_prediction = counts.positives == 0, counts.tp + counts.fp == 0
    for value, where in (
        (rule.both, no_reference & no_prediction),
        (rule.reference, no_reference & ~no_prediction),
        (rule.prediction, ~no_reference & no_prediction),
    ):
        if not isinstance(value, str):  # else the formula decides
            values = torch.where(where, value, values)
    return torch.where(counts.total == 0, math.nan, values)
