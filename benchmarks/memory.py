"""How much memory a loss takes beyond its inputs: growth of a fresh process's high-water mark."""

import math
import subprocess
import sys
from pathlib import Path

MEASURE = """
import re, sys, torch
sys.path.insert(0, {folder!r})
from peers import contenders, data

def status(key):
    return 1024 * int(re.search(key + r":\\s+(\\d+)", open("/proc/self/status").read())[1])

torch.set_num_threads(2)
loss = next(c.loss for c in contenders({size}[1]) if c.name == {name!r})
small = data((1, {size}[1], *{warm}))
loss(small[0].requires_grad_(), small[1]).backward()  # compiles
logits, target = data({size})
logits.requires_grad_()
open("/proc/self/clear_refs", "w").write("5")  # the high-water mark starts from here
before = status("VmRSS")
loss(logits, target).backward()
print(status("VmHWM") - before)
"""


def peak_memory(name: str, size: tuple[int, ...]) -> float:
    """Bytes at the peak of forward and backward beyond the inputs, over those of the logits."""
    # Compiling needs memory too: a smaller input of the same kind takes the same path first.
    warm = [max(side // 2, 128) if len(size) == 4 else 104 for side in size[2:]]
    code = MEASURE.format(folder=str(Path(__file__).parent), size=size, name=name, warm=warm)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(result.stderr)
    return int(result.stdout) / (4 * math.prod(size))
