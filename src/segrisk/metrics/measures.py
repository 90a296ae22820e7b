"""What can be scored: its name, its unit, which direction is better, and what it needs."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Literal

from segrisk.names import nearest
from segrisk.similarity import SIMILARITIES, Confusion, Similarity

Kind = Literal["overlap", "instances", "surface", "distance", "volume"]

INSTANCE = "instance_"


@dataclass(frozen=True)
class Measure:
    """A score of one region of one case.

    Kinds: `overlap` is a similarity of counts; `instances` its mean over the reference's
    components; `surface` a share of the surface; `distance` a length between surfaces, in mm;
    `volume` an error of volume, in ml. `better` says where the best value lies.

    >>> MEASURES["hd95_mm"]
    Measure(name='hd95_mm', kind='distance', unit='mm', better='lower')
    """

    name: str
    kind: Kind
    unit: str
    better: Literal["higher", "lower", "zero"]

    @property
    def similarity(self) -> Similarity:
        """The similarity that an overlap, or an overlap of instances, is."""
        return SIMILARITIES[self.name.removeprefix(INSTANCE)]

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest value that there is.

        >>> MEASURES["dice"].bounds, MEASURES["kappa"].bounds, MEASURES["hd95_mm"].bounds
        ((0.0, 1.0), (-1.0, 1.0), (0.0, inf))
        """
        if self.kind in {"overlap", "instances"}:
            return float(self.similarity(Confusion(0, 1, 1, 0))), 1.0
        if self.kind == "surface":
            return 0.0, 1.0
        return (-inf if self.better == "zero" else 0.0), inf

    @property
    def needs_surfaces(self) -> bool:
        return self.kind in {"surface", "distance"}


MEASURES = {
    measure.name: measure
    for measure in (
        *(Measure(name, "overlap", "", "higher") for name in SIMILARITIES),
        # What counts true negatives has no value in a region that is cut around a component.
        *(
            Measure(f"{INSTANCE}{name}", "instances", "", "higher")
            for name, similarity in SIMILARITIES.items()
            if similarity.of_foreground and not similarity.counts_background
        ),
        Measure("nsd", "surface", "", "higher"),
        Measure("hd95_mm", "distance", "mm", "lower"),
        Measure("assd_mm", "distance", "mm", "lower"),
        Measure("volume_difference_ml", "volume", "ml", "lower"),
        Measure("volume_bias_ml", "volume", "ml", "zero"),
    )
}
"""Every measure by name; those of overlap are the members of `segrisk.similarity`."""


def measures(names: Iterable[str]) -> tuple[Measure, ...]:
    """The measures of these names; ValueError where one is not known."""
    names = tuple(names)
    for name in names:
        if name not in MEASURES:
            raise ValueError(f"no metric is called '{name}'{nearest(name, MEASURES)}")
    return tuple(MEASURES[name] for name in names)
