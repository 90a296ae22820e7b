"""The joint count of two label maps through Numba: eight voxels at a time."""

from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def add_words(reference, prediction, table):
    """Add the pairs of two arrays of uint64, eight labels each, to `table` (256, 256).

    Masks are made of runs. A word that repeats the one before it costs one comparison, whatever
    its labels are; only where a word changes are its eight pairs counted one by one.
    """
    if reference.size == 0:
        return
    r, p, run = reference[0], prediction[0], 0
    for i in range(reference.size):
        if reference[i] == r and prediction[i] == p:
            run += 1
        else:
            _add_word(r, p, run, table)
            r, p, run = reference[i], prediction[i], 1
    _add_word(r, p, run, table)


@njit(cache=True, nogil=True, error_model="numpy")
def _add_word(r, p, run, table):
    for _ in range(8):
        table[r & 255, p & 255] += run
        r >>= 8
        p >>= 8
