"""Which cross-entropy weight means which threshold, and which is best for Dice and Jaccard."""


def threshold_of_weight(weight: float) -> float:
    """The threshold on p at which a cross-entropy with this foreground weight decides, Eq. 15.

    A calibrated network trained with −w·y log q − (1 − y) log(1 − q) outputs
    q = wp / (wp + 1 − p), which exceeds 1/2 exactly where p > 1 / (1 + w).

    >>> threshold_of_weight(1), threshold_of_weight(4)
    (0.5, 0.2)
    """
    if not 0 < weight < float("inf"):
        raise ValueError(f"weight must be positive and finite, got {weight}")
    return 1 / (1 + weight)


def weight_of_threshold(threshold: float) -> float:
    """The foreground weight (1 − t) / t whose cross-entropy, cut at 1/2, decides at p > t.

    >>> weight_of_threshold(0.2)
    4.0
    """
    if not 0 < threshold < 1:
        raise ValueError(f"threshold must lie between 0 and 1, got {threshold}")
    return (1 - threshold) / threshold


def balanced_weight(prior: float) -> float:
    """The weight (1 − π) / π that balances the classes: it decides at p > π, the prior, Eq. 16.

    >>> round(threshold_of_weight(balanced_weight(0.05)), 10)
    0.05
    """
    if not 0 < prior < 1:
        raise ValueError(
            f"prior must lie between 0 and 1, got {prior}: a class that is never or always there "
            "cannot be balanced"
        )
    return weight_of_threshold(prior)


def best_weight(jaccard: float) -> float:
    """The weight 1 / J* that is best for a population's Dice and Jaccard, Eq. 17.

    J* is the Jaccard index, pooled over the population, that the best decision reaches. A voxel
    adds to the pooled index where p / (1 − p) > J*, so the threshold is J* / (1 + J*) = D* / 2.
    Scores averaged over images call for another threshold in each.

    >>> best_weight(0.5), round(threshold_of_weight(best_weight(0.5)), 4)
    (2.0, 0.3333)
    """
    if not 0 < jaccard <= 1:
        raise ValueError(f"the Jaccard index must lie in (0, 1], got {jaccard}")
    return 1 / jaccard
