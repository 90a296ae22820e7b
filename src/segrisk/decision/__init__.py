"""From probabilities to the mask that scores best."""

from segrisk.decision.exact import expected_scores as expected_scores
from segrisk.decision.exact import optimal_mask as optimal_mask
