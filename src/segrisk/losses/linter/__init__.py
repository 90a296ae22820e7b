"""What any loss does, measured by calling it on small pictures, and what is wrong with that."""

from segrisk.losses.linter.explanation import Explanation as Explanation
from segrisk.losses.linter.explanation import explain as explain
from segrisk.losses.linter.traps import Trap as Trap
from segrisk.losses.linter.use import Use as Use
