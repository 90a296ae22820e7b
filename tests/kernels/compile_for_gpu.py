"""Compile the Triton kernels for a GPU that is not there, and print what they need of it.

Wrappers are called with tensors of a CPU; each kernel is compiled for what it is given, as at a
launch, and not launched. One line for each: registers of a thread, bytes of local memory (spilled
registers), and how many bytes of logits a thread holds and reads.
"""

import re
import subprocess
import tempfile
from pathlib import Path

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from segrisk.kernels import cuda

TOOL = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"


class Absent:
    """The driver of an H100 that nothing can be launched on."""

    def get_current_target(self):
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0


def usage(binary):
    """Registers and local memory of machine code."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        Path(file.name).write_bytes(binary)
        text = subprocess.run(
            [TOOL, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True
        ).stdout
    return re.search(r"REG:(\d+) STACK:\d+ SHARED:\d+ LOCAL:(\d+)", text).groups()


def bytes_read(ptx, unit):
    """Bytes that a thread loads from global memory by loads of `unit` bits and more than one."""
    sizes = re.findall(rf"ld\.global(?:\.\w+)*\.v(\d)\.b{unit}", ptx)
    return sum(int(count) * unit // 8 for count in sizes)


def compile_and_print(kernel, *args, grid, warmup, **options):
    compiled = run(kernel, *args, grid=grid, warmup=True, **options)
    registers, local = usage(compiled.asm["cubin"])
    line = f"kernel={kernel.fn.__name__} registers={registers} local={local}"
    if "C" in options:
        threads = 32 * options["num_warps"]
        logits = options["CHUNK"] * options["SIZE"] * args[0].element_size() // threads
        read = bytes_read(compiled.asm["ptx"], 32)
        line += f" classes={options['C']} logits={logits} logits_read={read}"
    print(line)


def call_all(classes, dtype=torch.float32, weighted=False, ignore=None):
    logits = torch.zeros(2, classes, 4096, dtype=dtype)
    # Labels that threads read one by one, so that all wide loads are of logits.
    labels = torch.zeros(2, 4096 * 3, dtype=torch.uint8)[:, ::3]
    weight = torch.zeros(2, 4096 * 3)[:, ::3] if weighted else None
    cuda.masses(logits, labels, weight, ignore)
    table = torch.zeros(2, classes, 6, dtype=torch.float64)
    cuda.masses_backward(table, logits, labels, weight, ignore)
    cuda.histogram(logits, labels, weight, ignore, 2**14)
    slopes = torch.zeros(2, classes, 2, 2**14)
    cuda.histogram_backward(slopes, slopes[..., 0, 0], logits, labels, weight, ignore)


if __name__ == "__main__":
    driver.set_active(Absent())
    run, JITFunction.run = JITFunction.run, compile_and_print
    call_all(1)
    call_all(4, torch.bfloat16, weighted=True, ignore=255)
    call_all(32)
    cuda.lovasz_jaccard_tables(torch.zeros(2, 2, 2, 2**16, dtype=torch.float64))
