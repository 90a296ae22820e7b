"""From probabilities to the mask that scores best, and what calibration says about it."""

from segrisk.decision.calibration import Temperature as Temperature
from segrisk.decision.calibration import ceiling as ceiling
from segrisk.decision.calibration import fit_temperature as fit_temperature
from segrisk.decision.calibration import reliability as reliability
from segrisk.decision.choose import Choice as Choice
from segrisk.decision.choose import choose as choose
from segrisk.decision.exact import expected_scores as expected_scores
from segrisk.decision.exact import optimal_mask as optimal_mask
from segrisk.decision.exclusive import decide_exclusive as decide_exclusive
from segrisk.decision.joint import JointSamples as JointSamples
from segrisk.decision.rules import ExactIndependent as ExactIndependent
from segrisk.decision.rules import Fitted as Fitted
from segrisk.decision.rules import FixedThreshold as FixedThreshold
from segrisk.decision.rules import HalfDice as HalfDice
from segrisk.decision.rules import Hurdle as Hurdle
from segrisk.decision.rules import Rule as Rule
from segrisk.decision.rules import Tempered as Tempered
from segrisk.decision.rules import TunedThreshold as TunedThreshold
from segrisk.decision.rules import as_json as as_json
from segrisk.decision.rules import from_json as from_json
from segrisk.decision.tally import LEVELS as LEVELS
from segrisk.decision.tally import Tally as Tally
from segrisk.decision.tally import tally as tally
from segrisk.decision.volume import switching_probability as switching_probability
from segrisk.decision.volume import volume_bias as volume_bias
