"""Weights that others have trained: found, fetched, and read only if they are what they should be.

Files are checked by the convention of PyTorch: a name that ends in -0123abcd promises a SHA-256
that begins so.
"""

import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from shutil import copyfileobj
from urllib.request import urlopen

import torch
from torch import Tensor

from segrisk.configuration import ConfigurationError
from segrisk.files import file_digest

ADDRESS = "https://download.pytorch.org/models/vgg16-397923af.pth"
"""VGG-16 trained on ImageNet, as torchvision publishes it."""
SECONDS = 20
"""Without an answer for so long, the address cannot be reached."""


class WeightsWarning(UserWarning):
    """What a person should know of the weights that a training starts from."""


def kept() -> Path:
    """Where PyTorch keeps the file of `ADDRESS`: torchvision looks there as well."""
    return Path(torch.hub.get_dir()) / "checkpoints" / ADDRESS.rpartition("/")[2]


def promised(path: Path) -> str:
    """How the SHA-256 of a file must begin: as its name says, or else as that of `ADDRESS`.

    >>> promised(Path("some/vgg16-88682ab5.pth")), promised(Path("vgg.pth"))
    ('88682ab5', '397923af')
    """
    pattern = re.compile(r"-([0-9a-f]{8,64})\.\w+$")
    found = pattern.search(Path(path).name) or pattern.search(ADDRESS)
    assert found is not None
    return found[1]


def fetched() -> Path | None:
    """The file of `ADDRESS`, fetched unless it is there; None where it cannot be had."""
    path = kept()
    if path.exists():
        return path
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with urlopen(ADDRESS, timeout=SECONDS) as answer:
            path.parent.mkdir(parents=True, exist_ok=True)
            size = f"{int(answer.headers['Content-Length'] or 0) / 1e6:.0f} MB"
            warnings.warn(f"fetching {ADDRESS} ({size}) to {path}", WeightsWarning, stacklevel=2)
            with temporary.open("wb") as file:
                copyfileobj(answer, file, 1 << 20)
        _check(temporary, promised(path), ADDRESS)
        os.replace(temporary, path)
    except OSError:
        return None
    finally:
        temporary.unlink(missing_ok=True)
    return path


def read(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The tensors of `path` that have the names and the shapes of `shapes`."""
    try:
        _check(path, promised(path), str(path))
        found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: the weights cannot be read ({error.strerror}): give a file such as "
            f"{ADDRESS}, or 'weights: random'"
        ) from error
    except Exception as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(f"{path}: holds no weights that PyTorch can read") from error
    for name, shape in shapes.items():
        if not isinstance(found, dict) or not isinstance(found.get(name), Tensor):
            raise ConfigurationError(
                f"{path}: has no '{name}': wanted is the state dict of torchvision's vgg16"
            )
        if tuple(found[name].shape) != shape:
            raise ConfigurationError(
                f"{path}: '{name}' has the shape {tuple(found[name].shape)}, not {shape}: wanted "
                "is the state dict of torchvision's vgg16"
            )
    return {name: found[name] for name in shapes}


def _check(path: Path, start: str, shown: str) -> None:
    digest = file_digest(path)
    if not digest.startswith(start):
        raise ConfigurationError(
            f"{shown}: the SHA-256 begins with {digest[: len(start)]}, not with {start}: the file "
            f"is damaged or another one; get {ADDRESS} again"
        )
