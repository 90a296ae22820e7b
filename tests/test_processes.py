"""Work in processes comes back in order and whole, whatever becomes of the processes."""

import os
import signal
import time

import pytest

from segrisk.processes import Died, mapped


def square(number):
    time.sleep(0.01 * (number % 3))  # so that they do not end in their order
    if number < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def refuse(number):
    raise ValueError(f"no {number}")


def quiet(done, total):
    pass


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_and_each_is_reported(workers):
    seen = []
    results = mapped(square, range(8), workers, lambda *steps: seen.append(steps))
    assert results == [number * number for number in range(8)]
    assert seen == [(done, 8) for done in range(1, 9)]


def test_of_many_only_those_that_kill_are_dead():
    seen = []
    results = mapped(square, [1, -1, 2, 3, -2, 4, 5], 2, lambda *steps: seen.append(steps))
    assert results == [1, Died(), 4, 9, Died(), 16, 25]
    assert seen == [(done, 7) for done in range(1, 8)]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_the_function_raises_is_raised(workers):
    with pytest.raises(ValueError, match="no 3"):
        mapped(refuse, [3], workers, quiet)


def test_nothing_gives_nothing_and_no_worker_is_refused():
    assert mapped(square, [], 2, quiet) == []
    with pytest.raises(ValueError, match="there must be at least 1 worker, got 0"):
        mapped(square, [1], 0, quiet)
