"""What goes wrong with a loss in a use of it, each found by calling the loss."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from segrisk.losses.door import prepare
from segrisk.losses.linter.probe import SIDE, SURE, Probe, Refused, alone, certain, noise, objects
from segrisk.losses.linter.summand import Summand
from segrisk.losses.lovasz import Lovasz
from segrisk.losses.soft import Soft


@dataclass(frozen=True)
class Trap:
    """One fault: its name, why it is one with what was measured, and what to write instead."""

    code: str
    why: str
    instead: str


def small_objects(part: Summand) -> Trap | None:
    """A constant in a ratio weighs more, the smaller the object; a ratio alone has no scale."""
    n, classes = part.use.smallest, max(1, part.use.classes - part.use.exclusive)
    side = max(8, math.ceil(math.sqrt(2 * n * classes)))
    y = torch.zeros(1, part.use.classes, side * side, device=part.probe.device)
    for index in range(classes):
        y[:, index + part.use.exclusive, index * n : (index + 1) * n] = 1
    missed = torch.zeros_like(y)
    if part.use.exclusive:
        y[:, 0], missed[:, 0] = 1 - y[:, 1:].sum(1), 1
    y, missed = (one.view(1, -1, side, side) for one in (y, missed))
    times = max(3, math.ceil(math.sqrt(4000 / n)))
    costs = [
        part.probe.bounded(certain(missed.repeat(1, 1, r, r)), y.repeat(1, 1, r, r))
        - part.probe.bounded(certain(y.repeat(1, 1, r, r)), y.repeat(1, 1, r, r))
        for r in (1, times)
    ]
    if not costs[1] > 0.01 or abs(costs[0] / costs[1] - 1) < 0.05:
        return None
    return Trap(
        "small-objects",
        f"missing an object of {n} voxels costs {costs[0]:.3f}, where missing {times * times} of "
        f"them in as many copies of the image costs {costs[1]:.3f}: a smoothing constant swamps "
        "small objects",
        "a ratio without smoothing: SoftDice(), or smoothing far below one voxel (1e-5)",
    )


def smoothing_of_empty(probe: Probe) -> Trap | None:
    """Smoothing above and below: an empty reference gives a cliff, whose place is the constant."""
    grid = [10.0**-power for power in range(1, 11)]
    at = [(probe.absent(p), probe.absent(p, side=SIDE // 4)) for p in grid]
    moves = [abs(large[0] - small[0]) for large, small in at]
    if max(moves) < 0.05:
        return None
    p = grid[moves.index(max(moves))]
    (high, gentle), (low, steep) = probe.absent(0.5), probe.absent(p)
    return Trap(
        "smoothing-both",
        f"where a class is absent the loss falls from {high:.3g} at p = 0.5, with a slope of "
        f"{gentle:.2g}, to {low:.3g} at p = {p:.0e}, with a slope of {steep:.2g}: one constant "
        "above and below a ratio makes a cliff, not a way down",
        "empty='penalise', the default here, whose slope is 1: the loss is the share of falsely "
        "marked voxels",
    )


def unpunished(probe: Probe) -> Trap | None:
    """An empty reference without slope: whatever is found there falsely costs the same."""
    at = {p: probe.absent(p) for p in (0.5, 0.1, 0.01)}
    y = objects(probe.use, batch=probe.use.batch, device=probe.device)
    wrong = y.flip(1) if probe.use.classes > 1 else 1 - y
    scale = probe.value(certain(wrong), y) - probe.value(certain(y), y)
    if max(abs(slope) for _, slope in at.values()) > 1e-3 * abs(scale):
        return None
    return Trap(
        "empty-unpunished",
        f"where a class is absent the loss is {at[0.5][0]:.3g} at p = 0.5 and {at[0.01][0]:.3g} at "
        f"p = 0.01, with slopes of {at[0.5][1]:.2g} and {at[0.01][1]:.2g}: false positives there "
        "are not unlearned",
        "empty='penalise', and annotated=… where a class was not looked for; or add CrossEntropy()",
    )


def pooled_images(part: Summand) -> Trap | None:
    """A ratio of the batch, while the metric is a mean over images."""
    together = part.use.batch > 1 or part.use.processes > 1
    if part.use.metric != "image" or not together or not part.batches.pools:
        return None
    values = part.batches
    return Trap(
        "pool-batch",
        f"images are summed before the ratio: {values.images} of them cost {values.whole:.3f} as a "
        f"batch and {values.by_image:.3f} one by one, which is what a metric of each image sees; "
        "large objects hide the small ones",
        "pool=(), the default here, for a metric of each image",
    )


def per_process(part: Summand) -> Trap | None:
    """Pooling that ends at the border of a process."""
    loss = part.probe.given
    group = getattr(getattr(loss, "reduction", None), "group", None)
    if part.use.processes == 1 or group is not None or not part.batches.pools:
        return None
    values = part.batches
    return Trap(
        "pool-per-process",
        f"each of {part.use.processes} processes pools its own images: their mean is "
        f"{values.by_process:.3f}, the ratio of the whole batch {values.whole:.3f}; the loss "
        "changes with the number of processes",
        "group=torch.distributed.group.WORLD, which sums over processes with the gradient",
    )


def background(part: Summand) -> Trap | None:
    """A term of channel 0 in the mean, which the metric does not have."""
    ratio, use = part.reading.ratio and alone(part.reading.ratio), part.use
    if ratio is None or not use.exclusive or use.scored != "foreground":
        return None
    if not ratio.reduction.background or not ratio.similarity.of_foreground:
        return None
    weight = ratio.reduction.class_weight
    if weight is not None and weight[0] == 0:
        return None
    y = objects(use, batch=2, device=part.probe.device)
    nothing = torch.zeros_like(y)
    nothing[:, 0] = 1
    cost, foreground = _missed(ratio, nothing, y), _missed(_without_background(ratio), nothing, y)
    return Trap(
        "background",
        f"channel 0 has its share: missing every object costs {cost:.3f}, of the foreground alone "
        f"{foreground:.3f}; the metric leaves the background out",
        "background=False, beside CrossEntropy(), which does learn the background",
    )


def class_weights(part: Summand) -> Trap | None:
    """Weights that do not add up to a mean: they change how fast is learned."""
    use = part.use
    if not use.exclusive or use.labels != "hard":
        return None
    y = torch.zeros(1, use.classes, use.classes * 8, 8, device=part.probe.device)
    for channel in range(use.classes):
        y[:, channel, channel * 8 : channel * 8 + 8] = 1
    cost = part.probe.bounded(certain(y.roll(1, 1)), y) - part.probe.bounded(certain(y), y)
    x = noise(y.shape, device=y.device)
    # Classes that are weighed alike may change names; the background may be left out.
    first = 1 if use.classes > 2 else 0
    renamed = [torch.cat([t[:, :first], t[:, first:].roll(1, 1)], dim=1) for t in (x, y)]
    alike = math.isclose(part.probe.value(x, y), part.probe.value(*renamed), rel_tol=1e-3)
    if alike or cost < 0.02 or abs(cost - 1) < 0.02:
        return None
    return Trap(
        "class-weights",
        f"a prediction that is wrong everywhere costs {cost:.3f} and not 1: class weights that are "
        "not divided by their sum scale the learning rate too",
        "class_weight=…, which is normalised, and a factor in front of the loss if one is meant",
    )


def not_the_metric(part: Summand) -> Trap | None:
    """A ratio over all classes of a softmax at once is the mean error of pixels."""
    use, ratio = part.use, part.reading.ratio
    if not use.exclusive or use.labels != "hard" or not part.probe.shifts_freely:
        return None
    if ratio is not None and not ratio.similarity.of_foreground:
        return None
    y = objects(use, batch=2, device=part.probe.device)
    for seed in range(3):
        x = 2 * noise(y.shape, seed=seed, device=y.device)
        error = float((1 - (x.softmax(1) * y).sum(1)).mean())
        value = part.probe.value(x, y)
        if not math.isclose(value, error, rel_tol=1e-3):
            return None
    return Trap(
        "pixel-error",
        f"on a random prediction the loss is {value:.4f}, and so is the mean of 1 − p of the true "
        f"class, {error:.4f}: classes that are pooled with their background give the pixel error",
        "one ratio for each class: pool=() or pool=('batch',), background=False",
    )


def soft_labels(part: Summand) -> Trap | None:
    """A loss that is not smallest where the prediction equals the labels."""
    if part.use.labels != "soft":
        return None
    shape = (1, part.use.classes, 32, 32)
    if part.use.classes == 1:
        y = torch.arange(1024, device=part.probe.device).reshape(shape).remainder(4) / 3
        hard = y.round()
    else:
        y = noise(shape, device=part.probe.device).softmax(1)
        hard = (y == y.amax(1, keepdim=True)).float()
    moved = {t: y + t * (hard - y) for t in (0, 0.1, 0.5, 1)}
    costs = {t: part.probe.value(part.probe.logits(p), y) for t, p in moved.items()}
    best = min(costs, key=lambda t: costs[t])
    if costs[best] > costs[0] - 1e-4 * max(1, abs(costs[0])):
        return None
    return Trap(
        "soft-labels",
        f"p = y costs {costs[0]:.3f}, and p moved {best:.0%} of the way from y to 0 and 1 costs "
        f"{costs[best]:.3f}: the product p·y is not smallest at p = y on soft labels",
        "relaxation='l1', the default here (or 'squared')",
    )


def half_precision(probe: Probe) -> Trap | None:
    """Sums over voxels in 16 bits end at 65,504, or at 8 binary digits."""
    if probe.use.precision == "float32":
        return None
    dtype = getattr(torch, probe.use.precision)
    y = torch.zeros(1, probe.use.classes, 250, 400, device=probe.device)
    y[:, -1, 20:] = 1
    if probe.use.exclusive:
        y[:, 0] = 1 - y[:, -1]
    instead = "a loss that sums in float32 or better, as all here do, or logits.float()"
    for signal in (6, 1, -1):
        x = (signal * (2 * y - 1)).to(dtype)
        full = probe.value(x.float(), y)
        try:
            half, slopes = probe.gradient(x, y)
        except Refused as error:
            return Trap("half-precision", f"{probe.use.precision} is refused: {error}", instead)
        if not abs(half - full) < 0.02 * abs(full) + 1e-4 or not torch.isfinite(slopes).all():
            return Trap(
                "half-precision",
                f"on 100,000 voxels the loss is {full:.4f}, and of the same logits in "
                f"{probe.use.precision} {half:.4g}: sums over voxels are kept in 16 bits",
                instead,
            )
    return None


def softmax_of_overlap(probe: Probe) -> Trap | None:
    """A softmax, in which marking one class unmarks the others, on labels that may overlap."""
    if probe.use.labels != "overlapping" or probe.use.classes == 1:
        return None
    y = objects(probe.use, batch=1, device=probe.device)
    everything = torch.full_like(y, SURE)
    if probe.shifts_freely:
        cost = probe.value(everything, y), probe.value(-everything, y)
        what = f"marking all classes everywhere costs {cost[0]:.3f}, marking none {cost[1]:.3f}"
    else:
        # What grows with the logits is a cross-entropy; a ratio does not at certain predictions.
        x = torch.full_like(y, -SURE)
        x[:, 0] = SURE
        grown = [_growth(probe, x + shift, y) for shift in (0, 8)]
        if grown[0] < 0.01 or not math.isclose(*grown, rel_tol=1e-3):
            return None
        what = (
            f"its cross-entropy grows by {grown[0]:.2f} when logits are doubled, and by as much "
            f"({grown[1]:.2f}) after 8 was added to each"
        )
    return Trap(
        "softmax-overlap",
        f"{what}: a softmax holds that classes exclude each other, and these labels overlap",
        "activation='sigmoid' in every summand, as in CrossEntropy(activation='sigmoid')",
    )


def not_logits(probe: Probe) -> Trap | None:
    """A loss that takes its input for probabilities goes on changing when all is right."""
    y = objects(probe.use, batch=2, device=probe.device)
    sure, surer = probe.value(certain(y), y), probe.value(2 * certain(y), y)
    if not probe.is_backwards and math.isclose(sure, surer, rel_tol=1e-3, abs_tol=1e-3):
        return None
    right, wrong = probe.value(y, y), probe.value(1 - y, y)
    if right < wrong:
        return Trap(
            "not-logits",
            f"right logits of {SURE:g} and −{SURE:g} cost {sure:.3g}, of twice the size "
            f"{surer:.3g}, but 1 and 0 cost {right:.3g}: the loss takes probabilities, not logits",
            "the option that applies the activation: sigmoid=True, softmax=True or the like",
        )
    wrong = probe.value(-certain(y), y)
    return Trap(
        "backwards",
        f"a right prediction costs {sure:.3g} and a wrong one {wrong:.3g}: this is a score, or it "
        "does not look at the prediction",
        "a loss: 1 − score",
    )


OF_SUMMANDS: tuple[Callable[[Summand], Trap | None], ...] = (
    small_objects,
    pooled_images,
    per_process,
    background,
    class_weights,
    not_the_metric,
    soft_labels,
)
OF_WHOLE: tuple[Callable[[Probe], Trap | None], ...] = (
    not_logits,
    smoothing_of_empty,
    unpunished,
    half_precision,
    softmax_of_overlap,
)


def find_traps(whole: Probe, parts: list[Summand]) -> tuple[Trap, ...]:
    """All faults, each once; a loss that does not take logits has no others worth telling."""
    if trap := not_logits(whole):
        return (trap,)
    found = [check(whole) for check in OF_WHOLE]
    found += [check(part) for check in OF_SUMMANDS for part in parts]
    traps = {trap.code: trap for trap in reversed(found) if trap is not None}
    if "smoothing-both" in traps:
        traps.pop("empty-unpunished", None)  # its sentence says so
    if "softmax-overlap" in traps:
        traps.pop("empty-unpunished", None)  # a softmax of one class cannot say p
    return tuple(traps[code] for code in reversed(traps))


def _missed(ratio: Soft | Lovasz, prediction: Tensor, y: Tensor) -> float:
    """What a ratio costs at a certain prediction."""
    activation = ratio.activation or "softmax"
    with torch.no_grad():
        return float(ratio.compute(prepare(certain(prediction), y, activation=activation)))


def _without_background(ratio: Soft | Lovasz) -> Soft | Lovasz:
    ratio, reduction = copy.copy(ratio), copy.copy(ratio.reduction)
    ratio.reduction, reduction.background = reduction, False
    return ratio


def _growth(probe: Probe, x: Tensor, y: Tensor) -> float:
    return probe.value(2 * x, y) - probe.value(x, y)
