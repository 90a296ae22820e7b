"""The two passes over a volume of logits: everything else works on the small table they return."""

from segrisk.kernels.dispatch import COLUMNS as COLUMNS
from segrisk.kernels.dispatch import costs as costs
from segrisk.kernels.dispatch import error_histogram as error_histogram
from segrisk.kernels.dispatch import errors as errors
from segrisk.kernels.dispatch import masses as masses
from segrisk.kernels.dispatch import refuse_soft_labels as refuse_soft_labels
from segrisk.kernels.dispatch import with_slopes as with_slopes
