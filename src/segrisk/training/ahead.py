"""Work that is done ahead of its use, by threads, in the order of its use."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(make: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """`make(item)` of each item, in order; `threads` make the next ones while the caller works.

    At most one more than `threads` wait or are being made. What `make` raises is raised where its
    item would have come. Without threads each is made when it is asked for. Close the iterator
    (`contextlib.closing`) to end the threads of one that is left early.

    >>> list(ahead(str.upper, "abc", threads=2))
    ['A', 'B', 'C']
    """
    if threads == 0:
        yield from map(make, items)
        return
    rest, made = iter(items), deque[Future[R]]()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="segrisk-ahead")
    try:
        made.extend(pool.submit(make, item) for item in islice(rest, threads + 1))
        while made:
            result = made.popleft().result()
            made.extend(pool.submit(make, item) for item in islice(rest, 1))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)
