"""Outlines: filled again by scan lines, they give the mask back."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from segrisk.report.contours import outline


def filled(path, shape):
    """The pixels that a path winds around: each step up or down changes all to its right."""
    winding = np.zeros(shape, int)
    for loop in path.split("z")[:-1]:
        x = y = 0
        for letter, first, second in re.findall(r"([Mhv])(-?\d+)(?: (\d+))?", loop):
            step = int(first)
            if letter == "M":
                x, y = step, int(second)
            elif letter == "h":
                x += step
            else:
                top, bottom = sorted((y, y + step))
                winding[top:bottom, x:] += 1 if step < 0 else -1
                y += step
    return winding


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9)))
@settings(deadline=None, max_examples=150)
def test_the_outline_encloses_the_mask_and_nothing_else(mask):
    assert np.array_equal(filled(outline(mask), mask.shape), mask)


@given(st.integers(1, 6), st.integers(1, 6))
@settings(deadline=None, max_examples=20)
def test_the_length_of_the_outline_is_the_perimeter(height, width):
    lengths = re.findall(r"[hv](-?\d+)", outline(np.ones((height, width))))
    assert sum(abs(int(length)) for length in lengths) == 2 * (height + width)


@pytest.mark.parametrize(
    ("mask", "path"),
    [
        ([[0, 0], [0, 0]], ""),
        ([[1, 1, 1], [1, 0, 1], [1, 1, 1]], "M0 0h3v3h-3v-3zM2 1h-1v1h1v-1z"),
    ],
)
def test_nothing_and_a_hole(mask, path):
    assert outline(np.array(mask)) == path
