"""Joint counts of masks in files, block by block: a pair of any size takes a few megabytes."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from segrisk.data.errors import DataError, shown
from segrisk.data.images import naming
from segrisk.data.streams import MaskFile, opened
from segrisk.metrics import JointCounts, Tally
from segrisk.metrics.counts import narrow

BLOCK = 1 << 20  # voxels; with those of a few models they stay in the processor's cache


def count_pairs(
    reference: Path, predictions: Sequence[Path | None]
) -> tuple[MaskFile, list[JointCounts | DataError]]:
    """The joint counts of one reference with each prediction, the reference being read once.

    None stands for an empty prediction. A prediction that cannot be read, or is of another shape,
    has its fault in place of its counts; a reference that cannot be opened or read raises it.
    """
    with ExitStack() as stack:
        truth = stack.enter_context(opened(reference))
        results: list[JointCounts | DataError | None] = [None] * len(predictions)
        running: dict[int, tuple[MaskFile | None, Tally]] = {}
        for index, path in enumerate(predictions):
            try:
                mask = None if path is None else stack.enter_context(_like(truth, path))
            except DataError as fault:
                results[index] = fault
            else:
                running[index] = mask, Tally(truth.labels, mask.labels if mask else None)
        for start in range(0, truth.size, BLOCK):
            count = min(BLOCK, truth.size - start)
            with naming(reference):
                block = truth.read(count)
            for index, (mask, tally) in list(running.items()):
                try:
                    with naming(mask.path if mask else reference):
                        tally.add(block, mask.read(count) if mask else np.zeros(count, np.uint8))
                except DataError as fault:
                    results[index] = fault
                    del running[index]
        for index, (_, tally) in running.items():
            try:
                results[index] = tally.result()
            except DataError as fault:
                results[index] = fault
    return truth, [result for result in results if result is not None]


def read_labels(path: Path) -> np.ndarray:
    """All labels of a mask at once, as uint8 where they fit, else int64."""
    with opened(path) as mask, naming(path):
        stored = mask.read(mask.size)
        small = narrow(stored)
        if small is None:
            values, codes = np.unique(stored, return_inverse=True)
        else:
            values, codes = np.flatnonzero(np.bincount(small, minlength=256)), small
        labels = mask.labels(values)
        if small is not None:
            if np.array_equal(labels, values):
                return small.reshape(mask.space, order=mask.order)
            labels = np.bincount(values, labels, minlength=256).astype(np.int64)
    return labels[codes].reshape(mask.space, order=mask.order)


@contextmanager
def _like(truth: MaskFile, path: Path) -> Iterator[MaskFile]:
    """A prediction as a stream in the order of its reference, and of the same shape."""
    with opened(path) as mask:
        if mask.space != truth.space:
            raise DataError(
                [
                    f"{shown(path)}: shape {mask.space} differs from {truth.space} of "
                    f"{shown(truth.path)}: check that they belong together, or resample one to the "
                    "grid of the other"
                ]
            )
        with naming(path):
            own = mask.in_order(truth.order)
        yield own
