"""What all tests share."""

import os
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(Path(__file__).resolve().parent))  # `import reference`
torch.set_num_threads(1)
# Warnings are errors, and PyTorch gives some only once: in whichever test happens to come first.
torch.set_warn_always(True)


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("SEGRISK_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data is absent: set SEGRISK_DATA to its folder (looked at {folder})")
    return folder
