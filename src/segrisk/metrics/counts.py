"""The joint count of a reference's and a prediction's labels, from which every overlap follows."""

import importlib.util
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from segrisk.similarity import Confusion

HAS_NUMBA = importlib.util.find_spec("numba") is not None
LEVELS = 256
BLOCK = 1 << 22  # voxels of arrays in memory that are taken together
WHOLE = 1e-3  # how far from a whole number a scaled label may lie


@dataclass(frozen=True)
class Region:
    """What is scored as one object: a label, or several; None stands for every label but 0.

    >>> Region("tumour core", (1, 3)), Region("foreground").holds(7)
    (Region(name='tumour core', labels=(1, 3)), True)
    """

    name: str
    labels: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.labels is not None and (not self.labels or 0 in self.labels):
            raise ValueError(
                f"region '{self.name}' has the labels {self.labels}: name at least one, and "
                "none of them 0, which is the background"
            )

    def holds(self, label: int) -> bool:
        return label != 0 if self.labels is None else label in self.labels


@dataclass(frozen=True)
class JointCounts:
    """How many voxels have each pair (label of the reference, label of the prediction).

    Counts of blocks add up to that of the whole, and every similarity of every region follows
    from this one small table.

    >>> counts = joint_counts(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]))
    >>> counts.confusion(Region("1", (1,)))
    Confusion(tp=1, fp=0, fn=1, tn=2)
    >>> counts.confusion(Region("1 or 2", (1, 2)))
    Confusion(tp=3, fp=0, fn=0, tn=1)
    >>> counts.confusion(Region("1", (1,)), ignore=2)
    Confusion(tp=1, fp=0, fn=1, tn=1)
    """

    pairs: Mapping[tuple[int, int], int]

    def __add__(self, other: "JointCounts") -> "JointCounts":
        return JointCounts(dict(sorted((Counter(self.pairs) + Counter(other.pairs)).items())))

    @property
    def total(self) -> int:
        """The number of voxels."""
        return sum(self.pairs.values())

    @property
    def labels(self) -> tuple[int, ...]:
        """Every label of the reference or the prediction but 0."""
        return tuple(sorted({label for pair in self.pairs for label in pair} - {0}))

    def confusion(self, region: Region, ignore: int | None = None) -> Confusion:
        """The confusion of one region; voxels whose reference is `ignore` count for nothing."""
        cells = {(True, True): 0, (False, True): 0, (True, False): 0, (False, False): 0}
        for (reference, prediction), count in self.pairs.items():
            if ignore is None or reference != ignore:
                # Where the reference is known, a prediction of `ignore` says: none of the region.
                predicted = prediction != ignore and region.holds(prediction)
                cells[region.holds(reference), predicted] += count
        return Confusion(*cells.values())

    def without_prediction(self) -> "JointCounts":
        """The counts of the same reference against an empty prediction."""
        pairs: Counter[tuple[int, int]] = Counter()
        for (reference, _), count in self.pairs.items():
            pairs[reference, 0] += count
        return JointCounts(dict(sorted(pairs.items())))


class Tally:
    """Counts pairs block by block; `relabel_reference` and the other say what a stored value means.

    Stored values are counted, and only the few that occur are turned into labels: scaling a
    volume's numbers to labels costs nothing.
    """

    def __init__(
        self,
        relabel_reference: Callable[[np.ndarray], np.ndarray] | None = None,
        relabel_prediction: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        self._relabel = (relabel_reference or whole_labels, relabel_prediction or whole_labels)
        self._table = np.zeros((LEVELS, LEVELS), np.int64)
        self._pairs: Counter[tuple[int, int]] = Counter()

    def add(self, reference: np.ndarray, prediction: np.ndarray) -> None:
        """Count two flat blocks of the same voxels."""
        if reference.size != prediction.size:
            raise ValueError(
                f"blocks of {reference.size} and {prediction.size} voxels: they must hold the same "
                "voxels (nothing is broadcast)"
            )
        small = narrow(reference), narrow(prediction)
        if small[0] is not None and small[1] is not None:
            _add_small(small[0], small[1], self._table)
            return
        # Labels at once: a map of probabilities is refused here, not kept value by value.
        (r, r_codes), (p, p_codes) = (
            _codes(block, relabel)
            for block, relabel in zip((reference, prediction), self._relabel, strict=True)
        )
        codes, counts = np.unique(r_codes * len(p) + p_codes, return_counts=True)
        for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
            self._pairs[r[code // len(p)], p[code % len(p)]] += count

    def result(self) -> JointCounts:
        """What was counted, by label; ValueError where a value is no label."""
        stored = np.nonzero(self._table)
        r, p = (
            relabel(values).tolist() for relabel, values in zip(self._relabel, stored, strict=True)
        )
        pairs = Counter(self._pairs)
        for *pair, count in zip(r, p, self._table[stored].tolist(), strict=True):
            pairs[tuple(pair)] += count
        return JointCounts(dict(sorted(pairs.items())))


def joint_counts(reference: np.ndarray, prediction: np.ndarray) -> JointCounts:
    """The joint count of two label maps of one shape: integers, booleans, or whole floats.

    ValueError where the shapes differ (nothing is broadcast) or a value is no whole number.
    """
    reference, prediction = np.asarray(reference), np.asarray(prediction)
    if reference.shape != prediction.shape:
        raise ValueError(
            f"the prediction has shape {prediction.shape} and the reference {reference.shape}: "
            "they must be of one grid (nothing is broadcast)"
        )
    tally = Tally()
    order = "F" if reference.flags.f_contiguous else "C"
    flat = reference.ravel(order), prediction.ravel(order)
    for start in range(0, reference.size, BLOCK):
        tally.add(flat[0][start : start + BLOCK], flat[1][start : start + BLOCK])
    return tally.result()


def whole_labels(values: np.ndarray) -> np.ndarray:
    """Values as int64 labels; ValueError where one is not a whole number, or is NaN."""
    if (value := no_label(values)) is not None:
        raise ValueError(
            f"holds {value:.6g}, which is no label number: save whole numbers, or threshold "
            "probabilities first"
        )
    return np.rint(values).astype(np.int64)


def no_label(values: np.ndarray) -> float | None:
    """The first value that is not a whole number, up to rounding in a header, or is NaN.

    >>> no_label(np.array([1.0, 2.0000001])), no_label(np.array([1.0, 0.5, 0.25]))
    (None, 0.5)
    """
    if values.dtype.kind != "f":
        return None
    with np.errstate(invalid="ignore"):  # infinity from infinity is NaN, which is near nothing
        wrong = ~(np.abs(values - np.rint(values)) <= WHOLE)
    return float(values[wrong][0]) if wrong.any() else None


def narrow(block: np.ndarray) -> np.ndarray | None:
    """The block as uint8 if that changes no value, else None."""
    if block.dtype in (np.uint8, np.bool_):
        return block.view(np.uint8)
    with np.errstate(invalid="ignore", over="ignore"):  # what does not fit is found by comparing
        small = block.astype(np.uint8)
    return small if np.array_equal(small, block) else None


def _codes(
    block: np.ndarray, relabel: Callable[[np.ndarray], np.ndarray]
) -> tuple[list[int], np.ndarray]:
    """The labels that occur, and for each voxel which of them it has."""
    values, codes = np.unique(block, return_inverse=True)
    return relabel(values).tolist(), codes.reshape(-1)


def _add_small(reference: np.ndarray, prediction: np.ndarray, table: np.ndarray) -> None:
    words = reference.size // 8 * 8
    blocks = tuple(np.require(b[:words], requirements="CA") for b in (reference, prediction))
    if HAS_NUMBA:
        from segrisk.metrics.compiled import add_words

        add_words(*(block.view(np.uint64) for block in blocks), table)
    else:
        _add_words(*(block.view(np.uint64) for block in blocks), table)
    _add_pairs(reference[words:], prediction[words:], table)


def _add_words(reference: np.ndarray, prediction: np.ndarray, table: np.ndarray) -> None:
    """Without Numba: only words that hold a label are looked at voxel by voxel."""
    labelled = (reference | prediction) != 0
    table[0, 0] += 8 * (labelled.size - np.count_nonzero(labelled))
    _add_pairs(reference[labelled].view(np.uint8), prediction[labelled].view(np.uint8), table)


def _add_pairs(reference: np.ndarray, prediction: np.ndarray, table: np.ndarray) -> None:
    codes = reference.astype(np.uint16) * np.uint16(LEVELS) + prediction
    table += np.bincount(codes, minlength=LEVELS * LEVELS).reshape(table.shape)
