"""What a training is told: the schedule of its two phases and the augmentation."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from segrisk.configuration import Strict

Positive = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, lt=1)]


class Phase(Strict):
    """One phase: Adam, a learning rate that falls when the validation loss stagnates, a stop.

    An epoch counts as better when its validation loss is the lowest so far. After `reduce_after`
    epochs without a better one the rate is multiplied by `reduce_factor`; after `stop_after` the
    validation loss has risen, and the phase ends.
    """

    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    max_epochs: Positive = 100
    reduce_after: Positive = 5
    reduce_factor: Rate = 0.3
    stop_after: Positive = 12


class Schedule(Strict):
    """The paper's two phases: cross-entropy from scratch, then each loss from its best epoch."""

    batch_size: Positive = 16
    cross_entropy: Phase = Phase()
    loss: Phase = Phase(learning_rate=1e-4)


class Augmentation(Strict):
    """Random changes of the training images, drawn anew for every epoch and case.

    `noise` is the largest standard deviation of Gaussian noise (images have standard deviation 1),
    `shift` the largest translation as a share of the image's side, `rotate_degrees` the largest
    rotation in the plane of the first two axes, `flip` the axes that are flipped half of the time.
    """

    noise: Annotated[float, Field(ge=0)] = 0.1
    shift: Annotated[float, Field(ge=0, lt=1)] = 0.1
    rotate_degrees: Annotated[float, Field(ge=0, le=180)] = 15.0
    flip: tuple[Literal[0, 1, 2], ...] = (0, 1)


class Patches(Strict):
    """Training on patches of `size`, and prediction by windows of it that slide over a case.

    An epoch draws `per_case` patches of every case. A patch is centred on a foreground voxel with
    probability `foreground_share` (nnU-Net: 1/3), else anywhere. `overlap` is the share of its
    side that a window has in common with the next; where they overlap, logits are averaged with
    Gaussian weights.
    """

    size: Annotated[tuple[Positive, ...], Field(min_length=2, max_length=3)]
    per_case: Positive = 1
    foreground_share: Annotated[float, Field(ge=0, le=1)] = 1 / 3
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.5

    @model_validator(mode="before")
    @classmethod
    def _size_alone(cls, given: Any) -> Any:
        return {"size": given} if isinstance(given, list | tuple) else given


Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
Device = Literal["auto", "cpu", "cuda", "mps"]
