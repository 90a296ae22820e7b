"""What is made ahead: the same things in the same order, and no thread that outlives its use."""

import threading
from contextlib import closing

import pytest

from segrisk.training.ahead import ahead


def own_threads():
    return [t for t in threading.enumerate() if t.name.startswith("segrisk-ahead")]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not own_threads()


@pytest.mark.parametrize("threads", [0, 1, 4])
def test_everything_comes_in_its_order(threads):
    def make(item):
        # Those that are first are ready last.
        threading.Event().wait(0.02 if item % 4 == 0 else 0)
        return item * item

    assert list(ahead(make, range(25), threads)) == [item * item for item in range(25)]


@pytest.mark.parametrize("threads", [0, 3])
def test_nothing_to_make_gives_nothing(threads):
    assert list(ahead(str, [], threads)) == []


@pytest.mark.parametrize("threads", [0, 2])
def test_what_is_raised_comes_where_its_item_would_have(threads):
    def make(item):
        if item == 5:
            raise ValueError("a case that cannot be read")
        return item

    seen = []
    with pytest.raises(ValueError, match="a case that cannot be read"):
        for item in ahead(make, range(100), threads):
            seen.append(item)
    assert seen == [0, 1, 2, 3, 4]


def test_no_more_are_made_ahead_than_there_is_room_for():
    made = []

    def make(item):
        made.append(item)
        return item

    with closing(ahead(make, range(100), threads=2)) as items:
        for item in items:
            # Those in the queue, and the one that replaced what the caller has in its hands.
            assert len(made) <= item + 1 + 3
            if item == 20:
                break
    assert len(made) <= 24


def test_made_by_threads_while_the_caller_works():
    begun = threading.Event()

    def make(item):
        if item == 1:
            begun.set()
        return item

    with closing(ahead(make, range(3), threads=1)) as items:
        next(items)
        assert begun.wait(5), "the second item waits until it is asked for"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_leaving_early_ends_the_threads(error):
    with pytest.raises(error), closing(ahead(str, range(1000), threads=4)) as items:
        for item in items:
            if item == "3":
                assert own_threads()
                raise error
    assert not own_threads()
