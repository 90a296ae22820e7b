"""What a loss can promise: bounds between similarities, risks, convexity, weights."""

from segrisk.theory.approximation import Approximation as Approximation
from segrisk.theory.approximation import approximation as approximation
from segrisk.theory.approximation import approximation_on as approximation_on
from segrisk.theory.closed import hamming_distortion as hamming_distortion
from segrisk.theory.closed import hamming_error as hamming_error
