"""The door of every decision: probabilities and masks of arrays or tensors, checked once."""

from typing import Any

import numpy as np

from segrisk.similarity import Similarity

LARGEST_HALF = 0x3C00
"""The bits of 1.0 in float16; those of numbers in [0, 1] are the integers up to it, in order."""


def is_tensor(values: Any) -> bool:
    """Whether this is a torch tensor; torch itself need not be loaded to ask."""
    return hasattr(values, "detach")


def as_array(values: Any) -> np.ndarray:
    """An array of what may be an array, a tensor on any device, or nested lists."""
    if not is_tensor(values):
        return np.asarray(values)
    values = values.detach().cpu()
    # NumPy has no bfloat16, every value of which is a float32.
    return (values.float() if str(values.dtype) == "torch.bfloat16" else values).numpy()


def as_kind_of(result: np.ndarray, source: Any) -> Any:
    """The result as a tensor on the source's device, where the source is one."""
    if not is_tensor(source):
        return result
    import torch

    return torch.from_numpy(np.ascontiguousarray(result)).to(source.device)


def probabilities(values: Any, name: str = "p") -> np.ndarray:
    """The array of what holds probabilities, floating, at least one voxel, all in [0, 1].

    ValueError says how many are not, and what they look like.
    """
    p = as_array(values)
    p = p.astype(p.dtype.newbyteorder("="), copy=False)
    if p.dtype.kind in "biu":
        p = p.astype(np.float64)
    if p.dtype.kind != "f":
        raise ValueError(f"{name} must hold real numbers, got {p.dtype}: give probabilities")
    if not p.size:
        raise ValueError(f"{name} has shape {p.shape} and so no voxels: there is nothing to decide")
    if p.dtype == np.float16:
        bits = p.view(np.uint16)
        if int(bits.max()) <= LARGEST_HALF:
            return p
    low, high = float(p.min()), float(p.max())
    if np.isnan(low) or np.isnan(high):
        raise ValueError(
            f"{np.count_nonzero(np.isnan(p))} of {p.size} values of {name} are NaN: "
            "replace them, for example by 0 outside the field of view"
        )
    if low < 0 or high > 1:
        raise ValueError(
            f"{name} reaches from {low:g} to {high:g}, outside [0, 1]: give probabilities, not "
            "logits (apply the sigmoid or softmax) or grey values (divide by their maximum)"
        )
    return p


def expect_similarity(given: Any) -> None:
    """TypeError unless this is a similarity itself: a name is not."""
    if not isinstance(given, Similarity):
        raise TypeError(f"give a similarity, such as segrisk.dice, got {given!r}")


def pair(values: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and their reference, a boolean or 0/1 mask of the same shape."""
    p, y = probabilities(values), as_array(target)
    if y.shape != p.shape:
        raise ValueError(
            f"p has shape {p.shape} and the target {y.shape}: they must be of one grid "
            "(nothing is broadcast)"
        )
    if y.dtype != np.bool_:
        if y.dtype.kind not in "iuf" or not np.isin(y, (0, 1)).all():
            raise ValueError(f"the target must be boolean or 0 and 1, got {y.dtype}: threshold it")
        y = y.astype(np.bool_)
    return p, y


def above(p: np.ndarray, threshold: float) -> np.ndarray:
    """The mask p > threshold, compared exactly, whatever the type of p."""
    if p.dtype == np.float16 and float(np.float16(threshold)) == threshold >= 0:
        # Integers compare faster than halves do; the sign bit is that of −0, which exceeds nothing.
        bits, cut = p.view(np.uint16), np.float16(threshold).view(np.uint16)
        return (bits > cut) & (bits <= LARGEST_HALF)
    return p > np.float64(threshold)
