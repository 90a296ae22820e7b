"""How long the first call of a loss takes in a fresh process."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

MEASURE = """
import sys, time
sys.path.insert(0, {folder!r})
from peers import contenders, data

loss = next(c.loss for c in contenders(4) if c.name == {name!r})
logits, target = data((1, 4, 128, 128))
start = time.perf_counter()
loss(logits.requires_grad_(), target).backward()
print(time.perf_counter() - start)
"""


def first_call(name: str, *, cold: bool) -> float:
    """Seconds of forward and backward; with a `cold` cache kernels are compiled in them."""
    code = MEASURE.format(folder=str(Path(__file__).parent), name=name)
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(1 if cold else 2):
            result = subprocess.run(
                [sys.executable, "-c", code],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "NUMBA_CACHE_DIR": cache},
            )
    return float(result.stdout)
