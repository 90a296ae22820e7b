"""Which loss and which decision make a segmentation score best in Dice and Jaccard."""

from segrisk.similarity import SIMILARITIES as SIMILARITIES
from segrisk.similarity import Confusion as Confusion
from segrisk.similarity import Similarity as Similarity
from segrisk.similarity import clipped_hamming as clipped_hamming
from segrisk.similarity import confusion as confusion
from segrisk.similarity import dice as dice
from segrisk.similarity import f_beta as f_beta
from segrisk.similarity import hamming as hamming
from segrisk.similarity import jaccard as jaccard
from segrisk.similarity import kappa as kappa
from segrisk.similarity import tversky as tversky
from segrisk.similarity import weighted_hamming as weighted_hamming

__version__ = "0.1.0"
