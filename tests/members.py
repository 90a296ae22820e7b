"""Every similarity that a law must hold for: the registered ones, and one of each family."""

from fractions import Fraction

from segrisk.similarity import SIMILARITIES, f_beta, tversky, weighted_hamming

MEMBERS = {
    **SIMILARITIES,
    "tversky": tversky(Fraction(3, 10), Fraction(7, 10)),
    "f_beta": f_beta(2),
    "weighted_hamming": weighted_hamming(Fraction(3, 10)),
}
