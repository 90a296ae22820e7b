"""What a loss can promise: bounds between similarities, risks, convexity, weights."""

from segrisk.theory.approximation import Approximation as Approximation
from segrisk.theory.approximation import approximation as approximation
from segrisk.theory.approximation import approximation_on as approximation_on
from segrisk.theory.closed import hamming_distortion as hamming_distortion
from segrisk.theory.closed import hamming_error as hamming_error
from segrisk.theory.risk import RiskChain as RiskChain
from segrisk.theory.risk import dice_loss_of as dice_loss_of
from segrisk.theory.risk import dice_risk_bounds as dice_risk_bounds
from segrisk.theory.risk import jaccard_loss_of as jaccard_loss_of
from segrisk.theory.risk import jaccard_risk_bounds as jaccard_risk_bounds
from segrisk.theory.risk import risk_chain as risk_chain
from segrisk.theory.submodular import Submodularity as Submodularity
from segrisk.theory.submodular import submodularity as submodularity
from segrisk.theory.weights import balanced_weight as balanced_weight
from segrisk.theory.weights import best_weight as best_weight
from segrisk.theory.weights import threshold_of_weight as threshold_of_weight
from segrisk.theory.weights import weight_of_threshold as weight_of_threshold
