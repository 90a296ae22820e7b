"""Statistics that hold for scores of the same cases: NumPy and SciPy only, usable alone."""

from segrisk.statistics.groups import GroupSums as GroupSums
from segrisk.statistics.groups import group_sums as group_sums
from segrisk.statistics.intervals import Interval as Interval
from segrisk.statistics.intervals import equivalent as equivalent
from segrisk.statistics.intervals import group_t_interval as group_t_interval
from segrisk.statistics.multiple import holm as holm
from segrisk.statistics.paired import PairTest as PairTest
from segrisk.statistics.paired import paired_bootstrap as paired_bootstrap
from segrisk.statistics.paired import sign_flip as sign_flip
