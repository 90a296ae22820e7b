"""Scenes whose best decision is known: independent label noise, and masks nested in each other."""

import numpy as np
from scipy.stats import norm


def independent(cases, seed, voxels=400, shape=0.25):
    """Faint voxels, each foreground or not on its own: 0.5 is far from best."""
    generator = np.random.default_rng(seed)
    for _ in range(cases):
        p = generator.beta(shape, 1.2, voxels)
        yield p, generator.random(voxels) < p


def nested_map(median, sigma, voxels):
    """P(size ≥ i) for voxels i = 1, …, of masks {1, …, size} with log-normal sizes."""
    return norm.sf(np.log(np.arange(1, voxels + 1) / median) / sigma)


def nested(cases, seed, voxels=1500, sigma=0.6):
    """One border that moves as a whole: 0.5 is best, for Dice and Jaccard."""
    generator = np.random.default_rng(seed)
    for _ in range(cases):
        median = generator.uniform(100, 300)
        size = median * np.exp(sigma * generator.normal())
        yield nested_map(median, sigma, voxels), np.arange(1, voxels + 1) <= size


def log_normal_sizes(median, sigma, count):
    """Equally probable sizes, at the quantiles of their law."""
    return np.rint(median * np.exp(sigma * norm.ppf((np.arange(count) + 0.5) / count))).astype(int)
