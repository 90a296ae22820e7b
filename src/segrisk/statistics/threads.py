"""Two things at once where there is much to do: NumPy lets go of Python's lock while it computes.

Nothing is added up in another order: what is computed is the same, bit by bit, with any number of
processors.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")

MUCH = 2**24
"""Fewer numbers are done before a thread has begun."""


def ahead(blocks: Iterator[Made], numbers: int) -> Iterator[Made]:
    """The same blocks, the next being made while one is used; `numbers` in all of them.

    >>> list(ahead(iter("abc"), numbers=MUCH))
    ['a', 'b', 'c']
    """
    if numbers < MUCH:
        yield from blocks
        return
    with ThreadPoolExecutor(1) as thread:
        made = thread.submit(next, blocks, None)
        while (block := made.result()) is not None:
            made = thread.submit(next, blocks, None)
            yield block


def two_at_once(
    function: Callable[[Given], Made], items: Iterable[Given], numbers: int
) -> list[Made]:
    """The function of each item, two at a time; `numbers` in all of them.

    >>> two_at_once(str.upper, "abc", numbers=MUCH)
    ['A', 'B', 'C']
    """
    if numbers < MUCH:
        return list(map(function, items))
    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(function, items))
