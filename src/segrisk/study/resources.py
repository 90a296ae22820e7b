"""What runs a study's cells, and what each of them is given: `engine` in a study file."""

from typing import Annotated, Any, Literal

from pydantic import ByteSize, Field, field_validator

from segrisk.configuration import Strict
from segrisk.training.config import Positive


class Local(Strict):
    """Worker processes on this machine; by default as many as its processors or GPUs carry."""

    name: Literal["local"] = "local"
    workers: Positive | None = None


class Resources(Strict):
    """What a Ray cluster sets aside for each cell.

    `cpus` are by default the study's threads on each of its devices, `gpus` its devices if these
    are GPUs and else 0; a fraction lets several cells share one GPU. `memory` is in bytes, or such
    as `8GiB`.
    """

    cpus: Annotated[float, Field(gt=0)] | None = None
    gpus: Annotated[float, Field(ge=0)] | None = None
    memory: Annotated[ByteSize, Field(gt=0)] | None = None

    @field_validator("gpus")
    @classmethod
    def _a_share_or_whole(cls, given: float | None) -> float | None:
        if given is not None and given > 1 and given != int(given):
            raise ValueError("must be a share of one GPU, such as 0.5, or a whole number of them")
        return given


class Ray(Strict):
    """A Ray cluster: the one that this machine belongs to (`auto`), a new one on it (`local`), or
    the one whose head is at HOST or HOST:PORT.

    `workers` bounds how many cells are in flight; by default as many as fit into the cluster.
    """

    name: Literal["ray"] = "ray"
    address: Annotated[str, Field(min_length=1)] = "auto"
    workers: Positive | None = None
    resources: Resources = Resources()


AnyEngine = Annotated[Local | Ray, Field(discriminator="name")]


def chosen(written: Local | Ray | None, name: str | None) -> Local | Ray:
    """The engine that is used: `name`, from the command line, goes before what a study says.

    >>> chosen(Local(workers=4), None), chosen(Local(workers=4), "ray").address
    (Local(name='local', workers=4), 'auto')
    """
    if written is not None and name in {None, written.name}:
        return written
    kinds: dict[str, Any] = {"local": Local, "ray": Ray}
    return kinds[name or "local"]()
