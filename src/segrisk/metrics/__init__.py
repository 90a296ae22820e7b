"""Scores of hard masks: counts and similarities, surfaces, instances, and what empty masks get."""

from segrisk.metrics.conventions import CONVENTIONS as CONVENTIONS
from segrisk.metrics.conventions import Convention as Convention
from segrisk.metrics.counts import JointCounts as JointCounts
from segrisk.metrics.counts import Region as Region
from segrisk.metrics.counts import Tally as Tally
from segrisk.metrics.counts import joint_counts as joint_counts
from segrisk.metrics.instances import component_confusions as component_confusions
from segrisk.metrics.masks import METRICS as METRICS
from segrisk.metrics.masks import score as score
from segrisk.metrics.measures import MEASURES as MEASURES
from segrisk.metrics.measures import Measure as Measure
from segrisk.metrics.surface import surface_distances as surface_distances
