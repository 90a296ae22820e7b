"""Slow references, straight from the papers, that import nothing of the package."""

import itertools
import math


def sets(mask, target):
    """The index sets of two flat 0/1 sequences."""
    return (
        {index for index, value in enumerate(mask) if value},
        {index for index, value in enumerate(target) if value},
    )


def dice(mask, target):
    """Bertels et al. 2019, Eq. 2."""
    a, b = sets(mask, target)
    return 1.0 if not a and not b else 2 * len(a & b) / (len(a) + len(b))


def jaccard(mask, target):
    """Bertels et al. 2019, Eq. 2."""
    a, b = sets(mask, target)
    return 1.0 if not a and not b else len(a & b) / len(a | b)


def hamming(mask, target):
    """Bertels et al. 2019, Eq. 2."""
    a, b = sets(mask, target)
    return 1 - (len(b - a) + len(a - b)) / len(list(target))


def counts(mask, target):
    a, b = sets(mask, target)
    return len(a & b), len(a - b), len(b - a), len(list(target)) - len(a | b)


def tversky(mask, target, alpha=0.3, beta=0.7):
    """Tversky 1977: alpha for false positives, beta for false negatives."""
    tp, fp, fn, _ = counts(mask, target)
    return 1.0 if tp + fp + fn == 0 else tp / (tp + alpha * fp + beta * fn)


def f_beta(mask, target, beta=2):
    """The weighted harmonic mean of precision and recall."""
    tp, fp, fn, _ = counts(mask, target)
    if tp + fp + fn == 0:
        return 1.0
    if tp == 0:
        return 0.0
    precision, recall = tp / (tp + fp), tp / (tp + fn)
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)


def weighted_hamming(mask, target, gamma=0.3):
    """Bertels et al. 2019, Eq. 3, with 0/0 = 0 inside."""
    tp, fp, fn, tn = counts(mask, target)
    missed = fn / (tp + fn) if tp + fn else 0.0
    invented = fp / (fp + tn) if fp + tn else 0.0
    return 1 - gamma * missed - (1 - gamma) * invented


def kappa(mask, target):
    """Cohen 1960: (observed − expected agreement) / (1 − expected)."""
    tp, fp, fn, tn = counts(mask, target)
    d = tp + fp + fn + tn
    observed = (tp + tn) / d
    expected = ((tp + fp) * (tp + fn) + (fn + tn) * (fp + tn)) / d**2
    return 1.0 if expected == 1 else (observed - expected) / (1 - expected)


def clipped_hamming(mask, target):
    """The errors by twice the reference's foreground, at most 1, subtracted from 1."""
    tp, fp, fn, _ = counts(mask, target)
    if tp + fn == 0:
        return 1.0 if fp == 0 else 0.0
    return 1 - min(1, (fp + fn) / (2 * (tp + fn)))


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def soft_dice_loss(logits, target):
    """One image: 1 − 2 Σ p y / (Σ p + Σ y); the share of false mass where the target is empty."""
    p = [sigmoid(x) for x in logits]
    if not any(target):
        return sum(p) / len(p)
    inner = sum(a * b for a, b in zip(p, target, strict=True))
    return 1 - 2 * inner / (sum(p) + sum(target))


def soft_jaccard_loss(logits, target):
    """One image: 1 − Σ p y / (Σ p + Σ y − Σ p y)."""
    p = [sigmoid(x) for x in logits]
    if not any(target):
        return sum(p) / len(p)
    inner = sum(a * b for a, b in zip(p, target, strict=True))
    return 1 - inner / (sum(p) + sum(target) - inner)


def cross_entropy(logits, target, foreground=1.0, background=1.0):
    """The mean of −w [y log p + (1 − y) log(1 − p)]."""
    total = 0.0
    for x, y in zip(logits, target, strict=True):
        p = sigmoid(x)
        total -= foreground * y * math.log(p) + background * (1 - y) * math.log(1 - p)
    return total / len(target)


def jaccard_set_loss(wrong, target):
    """The Jaccard loss when exactly the voxels of `wrong` are mistaken (Berman et al. 2018)."""
    foreground = {index for index, value in enumerate(target) if value}
    if not foreground:
        return len(wrong) / len(target)
    return len(wrong) / len(foreground | wrong)


def lovasz_sigmoid(logits, target):
    """The Lovász extension of the Jaccard loss, by its definition over nested sets."""
    errors = [abs(y - sigmoid(x)) for x, y in zip(logits, target, strict=True)]
    order = sorted(range(len(errors)), key=lambda index: -errors[index])
    total, before, wrong = 0.0, 0.0, set()
    for index in order:
        wrong.add(index)
        after = jaccard_set_loss(wrong, target)
        total += errors[index] * (after - before)
        before = after
    return total


def soft_tversky_loss(logits, target, alpha=0.3, beta=0.7):
    """One image: 1 − Σ p y / (Σ p y + α Σ p (1 − y) + β Σ (1 − p) y)."""
    p = [sigmoid(x) for x in logits]
    if not any(target):
        return sum(p) / len(p)
    tp = sum(a * b for a, b in zip(p, target, strict=True))
    fp = sum(a * (1 - b) for a, b in zip(p, target, strict=True))
    fn = sum((1 - a) * b for a, b in zip(p, target, strict=True))
    return 1 - tp / (tp + alpha * fp + beta * fn)


def focal(logits, target, gamma=2):
    """Lin et al. 2017, the mean over voxels, without class weights."""
    total = 0.0
    for x, y in zip(logits, target, strict=True):
        p = sigmoid(x) if y else sigmoid(-x)
        total += (1 - p) ** gamma * -math.log(p)
    return total / len(target)


def top_k(logits, target, k=0.1):
    """The mean cross-entropy of the share k of voxels that cost most, the last one in part."""
    costs = sorted((cross_entropy([x], [y]) for x, y in zip(logits, target, strict=True)))[::-1]
    left = wanted = k * len(costs)
    total = 0.0
    for cost in costs:
        total += cost * min(left, 1.0)
        left -= min(left, 1.0)
    return total / wanted


def subsets(items):
    """Every subset of `items`."""
    items = list(items)
    return itertools.chain.from_iterable(
        itertools.combinations(items, size) for size in range(len(items) + 1)
    )


def laws_of_number(p):
    """P(n of the first k voxels are foreground), n = 0, …, k, for every k, by convolution."""
    laws = [[1.0]]
    for x in p:
        below, same = [0.0, *laws[-1]], [*laws[-1], 0.0]
        laws.append([x * a + (1 - x) * b for a, b in zip(below, same, strict=True)])
    return laws


def expected_tversky(p, alpha, beta):
    """E[score] of the τ most probable of independent voxels, τ = 0, …, d, over hits and misses."""
    p = sorted(p, reverse=True)
    hit_laws, missed_laws = laws_of_number(p), laws_of_number(p[::-1])[::-1]
    scores = [math.prod(1 - x for x in p)]
    for size in range(1, len(p) + 1):
        total = 0.0
        for hits, chance in enumerate(hit_laws[size]):
            if hits:
                fixed = hits + alpha * (size - hits)
                terms = (q * hits / (fixed + beta * b) for b, q in enumerate(missed_laws[size]))
                total += chance * sum(terms)
        scores.append(total)
    return scores


def expected_score(score, mask, law):
    """E[score(mask, y)] where `law` maps every possible y to its probability."""
    return math.fsum(chance * score(mask, y) for y, chance in law.items())


def independent_law(p):
    """The probability of every y, for independent voxels."""
    return {
        y: math.prod(x if value else 1 - x for x, value in zip(p, y, strict=True))
        for y in itertools.product((0, 1), repeat=len(p))
    }
