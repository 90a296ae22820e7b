"""Rules that turn probabilities into a mask: each says what it assumes, and is fitted or not.

    fitted = TunedThreshold(dice).fit(validation_cases)     # pairs (p, reference), one at a time
    mask = fitted.decide(p)

A rule is a way to choose; what `fit` returns is the choice: frozen numbers that `as_json` stores.
Fitting needs only `Tally`s of the cases, so maps stream past and are never held together.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from segrisk.decision.calibration import Temperature, fit_temperature
from segrisk.decision.door import above, as_kind_of, expect_similarity, probabilities
from segrisk.decision.exact import Cut, best_cut, tversky_weights
from segrisk.decision.presence import Presence, fit_presence
from segrisk.decision.tally import LEVELS, Case, Tally, mean_scores, tallies
from segrisk.similarity import SIMILARITIES, Similarity, dice


class Fitted(Protocol):
    """A rule that is ready: numbers, and the mask that they give on a map."""

    def decide(self, p: Any) -> Any:
        """The boolean mask of a map of any shape, an array or a tensor as p is."""


class Rule(Protocol):
    """A way to choose masks, of which validation cases fix the numbers."""

    @property
    def name(self) -> str:
        """What tables call it."""

    def fit(self, cases: Iterable[Case | Tally]) -> Fitted:
        """The rule with its numbers; ValueError where the cases cannot give them."""


@dataclass(frozen=True)
class Threshold:
    """The mask p > value.

    >>> Threshold(0.5).decide([0.4, 0.6])
    array([False,  True])
    """

    value: float

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 1:
            raise ValueError(f"a threshold lies in [0, 1], got {self.value}: give a probability")

    def decide(self, p: Any) -> Any:
        return as_kind_of(above(probabilities(p), self.value), p)


@dataclass(frozen=True)
class Exact:
    """The mask with the best expected score if voxels are independent: `optimal_mask`."""

    similarity: Similarity

    def __post_init__(self) -> None:
        tversky_weights(self.similarity)

    def decide(self, p: Any) -> Any:
        values = probabilities(p)
        return as_kind_of(best_cut(values, self.similarity).mask(values), p)


@dataclass(frozen=True)
class EmptyAware:
    """The best mask given that there is foreground, or the empty one: see `Hurdle`."""

    similarity: Similarity
    presence: Presence | float

    def __post_init__(self) -> None:
        tversky_weights(self.similarity)
        if not isinstance(self.presence, Presence) and not 0 <= self.presence <= 1:
            raise ValueError(f"presence is a probability in [0, 1], got {self.presence}")

    def decide(self, p: Any) -> Any:
        values = probabilities(p)
        cut = best_cut(values, self.similarity)
        if isinstance(self.presence, Presence):
            chance = self.presence(cut.volume, cut.peak)
        else:
            chance = self.presence
        size, score = given_foreground(cut)
        # An empty mask is right with probability 1 − π, another earns D₁ with probability π.
        if chance * score <= 1 - chance:
            return as_kind_of(np.zeros(values.shape, np.bool_), p)
        return as_kind_of(cut.take(size).mask(values), p)


@dataclass(frozen=True)
class AtTemperature:
    """Another fitted rule, on the tempered map: see `Tempered`."""

    temperature: Temperature
    fitted: Fitted

    def decide(self, p: Any) -> Any:
        return self.fitted.decide(self.temperature.apply(p))


def given_foreground(cut: Cut) -> tuple[int, float]:
    """How many groups the best non-empty mask takes, and D₁, its expected score given foreground.

    A non-empty mask scores 0 on an empty image, so the condition divides by P(foreground).
    """
    if not cut.levels.size:
        return 0, 0.0
    best = 1 + int(np.argmax(cut.scores[1:]))
    return best, min(1.0, float(cut.scores[best]) / cut.foreground)


@dataclass(frozen=True)
class FixedThreshold:
    """A threshold that no case moves; at 0.5 the rule that every other one has to beat.

    Assumes nothing. 0.5 maximises accuracy for calibrated p, and expected Dice and Jaccard where
    all uncertainty is common (masks nested in each other, of a size whose law is unimodal and
    symmetric in its logarithm).
    """

    value: float = 0.5

    @property
    def name(self) -> str:
        return f"{self.value:g}"

    def fit(self, cases: Iterable[Case | Tally] = ()) -> Threshold:
        """The threshold as it is; cases are not looked at."""
        return Threshold(self.value)


@dataclass(frozen=True)
class HalfDice:
    """The threshold D*/2, where D* is the best mean Dice of a threshold on validation cases.

    Assumes calibrated p (so a network trained with cross-entropy), and errors of voxels that are
    independent, or masks whose volume varies little. Then adding a voxel to a mask with Dice D*
    pays exactly if p > D*/2, for Jaccard too: D*/2 = J*/(1 + J*). (Lipton, Elkan and
    Narayanaswamy 2014.)

    >>> HalfDice().fit([([0.9, 0.4, 0.4, 0.0], [True, True, False, False])])
    Threshold(value=0.4)
    """

    @property
    def name(self) -> str:
        return "half of D*"

    def fit(self, cases: Iterable[Case | Tally]) -> Threshold:
        counted = _with_foreground(tallies(cases))
        return Threshold(float(mean_scores(counted, dice).max()) / 2)


@dataclass(frozen=True)
class TunedThreshold:
    """The threshold with the best mean score on validation cases; ties go to the one nearest 0.5.

    Assumes that new cases are like those, and nothing about p, which need not be calibrated: it
    suits every loss. Candidates are `tally.LEVELS`. Any similarity can be tuned for.

    >>> TunedThreshold(dice).fit([([0.4, 0.3, 0.1], [True, True, False])]).value
    0.2998046875
    """

    similarity: Similarity

    def __post_init__(self) -> None:
        expect_similarity(self.similarity)

    @property
    def name(self) -> str:
        return f"tuned for {self.similarity.name}"

    def fit(self, cases: Iterable[Case | Tally]) -> Threshold:
        counted = _with_foreground(tallies(cases))
        means = mean_scores(counted, self.similarity)
        best = np.flatnonzero(means >= means.max() - 1e-12)
        return Threshold(float(LEVELS[best[np.argmin(np.abs(LEVELS[best] - 0.5))]]))


@dataclass(frozen=True)
class ExactIndependent:
    """The mask with the best expected score of each map.

    Assumes calibrated p (so a network trained with cross-entropy) and independent voxels. Worth
    most for small or faint objects; where borders move as one it loses to 0.5. There is nothing to
    fit: the map itself decides.
    """

    similarity: Similarity

    def __post_init__(self) -> None:
        expect_similarity(self.similarity)

    @property
    def name(self) -> str:
        return f"exact {self.similarity.name}"

    def fit(self, cases: Iterable[Case | Tally] = ()) -> Exact:
        """The rule as it is; cases are not looked at."""
        return Exact(self.similarity)


@dataclass(frozen=True)
class Hurdle:
    """First whether there is anything, then what: non-empty exactly if π > 1/(1 + D₁).

    π is the probability of foreground: given, or fitted on validation cases from Σp and max p
    (`presence.fit_presence`). D₁ is the best expected score given foreground. Assumes calibrated π,
    and for D₁ calibrated p and independent voxels. For sets in which many images are empty.

    >>> Hurdle(dice, presence=0.4).fit().decide([0.9, 0.8, 0.1])
    array([False, False, False])
    """

    similarity: Similarity
    presence: float | None = None

    def __post_init__(self) -> None:
        expect_similarity(self.similarity)

    @property
    def name(self) -> str:
        return f"empty-aware {self.similarity.name}"

    def fit(self, cases: Iterable[Case | Tally] = ()) -> EmptyAware:
        if self.presence is not None:
            return EmptyAware(self.similarity, self.presence)
        return EmptyAware(self.similarity, fit_presence(tallies(cases)))


@dataclass(frozen=True)
class Tempered:
    """Another rule, on maps whose temperature is fitted on the same validation cases first.

    Assumes what the other rule does of the tempered map: that one number mends its calibration.
    For rules that read p as a probability; a tuned threshold gains nothing by it.
    """

    rule: Rule

    @property
    def name(self) -> str:
        return f"{self.rule.name}, tempered"

    def fit(self, cases: Iterable[Case | Tally]) -> AtTemperature:
        counted = tallies(cases)
        temperature = fit_temperature(counted)
        return AtTemperature(temperature, self.rule.fit(map(temperature.tally, counted)))


def _with_foreground(cases: list[Tally]) -> list[Tally]:
    if not any(case.reference_volume for case in cases):
        raise ValueError(
            f"the references of all {len(cases)} cases are empty: no threshold can be fitted"
        )
    if all(case.reference_volume == case.size for case in cases):
        raise ValueError(
            f"the references of all {len(cases)} cases are foreground everywhere: "
            "no threshold can be fitted"
        )
    return cases


KNOWN = "threshold, exact, hurdle and tempered"


def as_json(fitted: Fitted) -> dict[str, Any]:
    """A fitted rule as numbers and texts, from which `from_json` makes it again.

    >>> as_json(Threshold(0.25)), from_json({"rule": "exact", "similarity": "dice"}) == Exact(dice)
    ({'rule': 'threshold', 'value': 0.25}, True)
    """
    match fitted:
        case Threshold(value):
            return {"rule": "threshold", "value": value}
        case Exact(similarity):
            return {"rule": "exact", "similarity": _registered(similarity)}
        case EmptyAware(similarity, Presence(a, b, c)):
            numbers = {"intercept": a, "volume_slope": b, "peak_slope": c}
            return {"rule": "hurdle", "similarity": _registered(similarity), "presence": numbers}
        case EmptyAware(similarity, presence):
            return {"rule": "hurdle", "similarity": _registered(similarity), "presence": presence}
        case AtTemperature(temperature, inner):
            return {"rule": "tempered", "value": temperature.value, "fitted": as_json(inner)}
    raise TypeError(f"{type(fitted).__name__} cannot be stored: only what rules with numbers fit")


def from_json(stored: dict[str, Any]) -> Fitted:
    """The fitted rule that `as_json` stored; ValueError says what is wrong with other content."""
    try:
        match stored["rule"]:
            case "threshold":
                return Threshold(float(stored["value"]))
            case "exact":
                return Exact(SIMILARITIES[stored["similarity"]])
            case "hurdle":
                given = stored["presence"]
                presence = Presence(**given) if isinstance(given, dict) else float(given)
                return EmptyAware(SIMILARITIES[stored["similarity"]], presence)
            case "tempered":
                return AtTemperature(Temperature(stored["value"]), from_json(stored["fitted"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{stored!r} is no stored rule ({error}): store it anew") from error
    raise ValueError(f"unknown rule {stored['rule']!r}: known are {KNOWN}")


def _registered(similarity: Similarity) -> str:
    if SIMILARITIES.get(similarity.name) != similarity:
        raise ValueError(
            f"{similarity.name} cannot be stored by name: store rules for {', '.join(SIMILARITIES)}"
        )
    return similarity.name
