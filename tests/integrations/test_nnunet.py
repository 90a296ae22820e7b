"""nnU-Net's trainer with losses of this package, in a stand-in of what nnU-Net calls."""

import json
import socket
import sys

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from nnunet_stand_in import found, modules, nnUNetTrainer

from segrisk.integrations import nnunet
from segrisk.losses import CrossEntropy, SoftDice, SoftJaccard
from segrisk.losses.registry import LossError

EXCLUSIVE = {"background": 0, "a": 1, "b": 2}
REGIONS = {"background": 0, "whole": [1, 2], "core": 2}
WEIGHTS = (2 / 3, 1 / 3)
"""Of the two finer resolutions; the third has none."""


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for variable in nnunet.VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)
    return monkeypatch


def trainer(folder, name="nnUNetTrainerSegrisk_soft_dice", *, labels=EXCLUSIVE, **plans):
    configuration = {"batch_dice": False, **plans}
    made = nnunet.trainer_class(nnUNetTrainer, name)(
        {"configurations": {"2d": configuration}, "results": str(folder)},
        "2d",
        0,
        {"labels": labels},
        torch.device("cpu"),
    )
    made.initialize()
    return made


def outputs(channels, seed=0, size=4):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, channels, n, n, generator=generator) for n in (8, 4, 2)]


def targets(highest, channels=1, seed=1, size=4):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(size, channels, n, n) for n in (8, 4, 2)]
    return [torch.randint(0, highest + 1, shape, generator=generator) for shape in shapes]


def supervised(loss, predictions, references):
    pairs = zip(WEIGHTS, predictions[:2], references[:2], strict=True)
    return float(sum(weight * loss(p.detach(), y) for weight, p, y in pairs))


def test_nnunet_finds_any_trainer_of_the_name(environment):
    for name, module in modules().items():
        environment.setitem(sys.modules, name, module)
    folder = nnunet.trainers_folder()
    cls = found(folder, "nnUNetTrainerSegrisk_soft_dice")
    assert issubclass(cls, nnUNetTrainer) and cls.__name__ == "nnUNetTrainerSegrisk_soft_dice"
    assert found(folder, "nnUNetTrainerSegrisk").__name__ == "nnUNetTrainerSegrisk"
    assert found(folder, "nnUNetTrainerDiceCELoss") is None
    with pytest.raises(ValueError, match="divides names of folders at '__'"):
        found(folder, "nnUNetTrainerSegrisk__x")


@pytest.mark.parametrize("dtype", [torch.int16, torch.float32])
@pytest.mark.parametrize("batch_dice", [False, True])
def test_labels_with_deep_supervision(tmp_path, batch_dice, dtype):
    made = trainer(tmp_path, batch_dice=batch_dice)
    logits, labels = outputs(3), targets(2)
    pool = ("batch",) if batch_dice else ()
    expected = supervised(SoftDice(pool=pool, background=False), logits, labels)
    logits[0].requires_grad_()
    value = made.train_step(logits, [one.to(dtype) for one in labels])
    assert float(value) == pytest.approx(expected, abs=1e-6)
    assert logits[0].grad.abs().sum() > 0


def test_voxels_with_the_ignore_label_teach_nothing(tmp_path, environment):
    environment.setenv("SEGRISK_LOSS", "0.5*cross_entropy + soft_jaccard")
    made = trainer(tmp_path, "nnUNetTrainerSegrisk_mixed", labels={**EXCLUSIVE, "ignore": 3})
    logits, labels = outputs(3), targets(3)
    own = 0.5 * CrossEntropy(ignore_index=3) + SoftJaccard(background=False, ignore_index=3)
    expected = supervised(own, logits, labels)
    logits[0].requires_grad_()
    assert float(made.train_step(logits, labels)) == pytest.approx(expected, abs=1e-6)
    gradient = logits[0].grad.abs().sum(1, keepdim=True)
    assert gradient[labels[0] == 3].sum() == 0 < gradient[labels[0] != 3].min()


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32])
def test_regions_are_channels_and_the_last_one_is_what_to_ignore(tmp_path, dtype):
    made = trainer(tmp_path, labels={**REGIONS, "ignore": 3})
    logits, channels = outputs(2), targets(1, channels=3)

    def own(p, y):
        mask = y[:, 2:] == 0
        return SoftDice(activation="sigmoid")(p, y[:, :2], mask=mask)

    value = made.train_step(
        [one.requires_grad_() for one in logits], [one.to(dtype) for one in channels]
    )
    assert float(value) == pytest.approx(supervised(own, logits, channels), abs=1e-6)
    assert logits[0].grad.masked_select(channels[0][:, 2:] == 1).abs().sum() == 0


def test_regions_without_an_ignore_label_and_without_deep_supervision(tmp_path):
    made = trainer(tmp_path, labels=REGIONS)
    made.enable_deep_supervision = False
    logits, channels = outputs(2)[0], targets(1, channels=2)[0]
    loss = made._build_loss()
    expected = SoftDice(activation="sigmoid")(logits, channels)
    assert torch.allclose(loss(logits, channels), expected)


def test_options_and_lengths_come_from_environment_before_plans(tmp_path, environment):
    told = {"loss": "soft_jaccard", "options": {"empty": "skip"}, "epochs": 7}
    made = trainer(tmp_path, "nnUNetTrainerSegrisk", segrisk=told)
    assert made.loss.loss.loss.reduction.empty == "skip"
    assert (made.num_epochs, made.schedule, made.num_iterations_per_epoch) == (7, 7, 250)
    environment.setenv("SEGRISK_LOSS_OPTIONS", "background=true class_weight=1,2,3")
    environment.setenv("SEGRISK_ITERATIONS", "10")
    made = trainer(tmp_path / "other", "nnUNetTrainerSegrisk", segrisk=told)
    reduction = made.loss.loss.loss.reduction
    assert (reduction.empty, reduction.background) == ("penalise", True)
    assert reduction.class_weight == (1, 2, 3)
    assert (made.num_iterations_per_epoch, made.num_val_iterations_per_epoch) == (10, 2)
    assert "soft_jaccard" in made.log[0]


def test_a_folder_holds_trainings_of_one_loss(tmp_path, environment):
    name = "nnUNetTrainerSegrisk"
    environment.setenv("SEGRISK_LOSS", "soft_jaccard")
    trainer(tmp_path, name)
    trainer(tmp_path, name)
    record = json.loads((tmp_path / f"{name}__nnUNetPlans__2d" / "segrisk.json").read_text())
    assert record["loss"] == "soft_jaccard"
    environment.setenv("SEGRISK_LOSS", "soft_dice")
    with pytest.raises(ValueError, match=r"holds trainings of .*soft_jaccard.*name another"):
        trainer(tmp_path, name)
    environment.delenv("SEGRISK_LOSS")  # as for validation alone
    assert trainer(tmp_path, name).segrisk.loss == "soft_jaccard"


@pytest.mark.parametrize(
    "variables, name, message",
    [
        ({}, "nnUNetTrainerSegrisk", "is told no loss: set SEGRISK_LOSS"),
        ({}, "nnUNetTrainerSegrisk_mine", "is told no loss"),
        ({"SEGRISK_LOSS": "soft_dise"}, "nnUNetTrainerSegrisk", "did you mean 'soft_dice'"),
        ({"SEGRISK_EPOCHS": "0"}, "nnUNetTrainerSegrisk_soft_dice", "SEGRISK_EPOCHS is a number"),
        (
            {"SEGRISK_LOSS_OPTIONS": "pool batch"},
            "nnUNetTrainerSegrisk_soft_dice",
            "holds 'pool': write NAME=VALUE",
        ),
        (
            {"SEGRISK_LOSS_OPTIONS": "poool=batch"},
            "nnUNetTrainerSegrisk_soft_dice",
            "has no option 'poool'; did you mean 'pool'",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, environment, variables, name, message):
    for variable, value in variables.items():
        environment.setenv(variable, value)
    with pytest.raises(ValueError, match=message):
        trainer(tmp_path, name)


def test_losses_that_cannot_ignore_or_pool_are_refused(tmp_path, environment):
    environment.setenv("SEGRISK_LOSS", "soft_dice + torch.nn:CrossEntropyLoss")
    with pytest.raises(LossError, match="would be trained on"):
        trainer(tmp_path, "nnUNetTrainerSegrisk", labels={**EXCLUSIVE, "ignore": 3})
    with pytest.raises(LossError, match="focal, which does not know of other processes"):
        nnunet.trainer_loss(
            nnunet.Settings("focal", {}),
            batch_dice=True,
            regions=False,
            ignore_label=None,
            group=object(),
        )


def test_a_typing_error_in_the_plans_is_found(tmp_path):
    with pytest.raises(ValueError, match="has no 'los'; did you mean 'loss'"):
        trainer(tmp_path, segrisk={"los": "soft_dice"})


def process(rank, port, folder):
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    made = trainer(folder, batch_dice=True)
    # Three images here and one there: nnU-Net divides a batch that does not divide evenly so.
    part = slice(0, 3) if rank == 0 else slice(3, 4)
    logits = [one[part].clone().requires_grad_() for one in outputs(3)]
    value = made.train_step(logits, [one[part] for one in targets(2)])
    torch.save((value, logits[0].grad), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_processes_pool_one_batch(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(process, args=(port, str(tmp_path)), nprocs=2)
    logits = [one.requires_grad_() for one in outputs(3)]
    expected = trainer(tmp_path / "alone", batch_dice=True).train_step(logits, targets(2))
    parts = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for value, _ in parts:
        assert float(value) == pytest.approx(float(expected), abs=1e-5)
    gradient = torch.cat([own for _, own in parts]) / 2  # as DDP takes the mean
    assert torch.allclose(gradient, logits[0].grad, rtol=1e-4, atol=1e-7)


def test_the_trainer_can_be_copied_into_nnunet(tmp_path):
    folder = tmp_path / "nnunetv2" / "training" / "nnUNetTrainer"
    with pytest.raises(ValueError, match="give the folder of the package nnunetv2"):
        nnunet.install(tmp_path / "nnunetv2")
    folder.mkdir(parents=True)
    copied = nnunet.install(tmp_path / "nnunetv2")
    assert copied.parent == folder
    assert copied.read_text() == (nnunet.trainers_folder() / copied.name).read_text()


def test_the_commands_say_where_trainers_lie_and_what_is_missing(tmp_path):
    cli = pytest.importorskip("typer.testing", reason="the command line is not installed")
    from segrisk.commands import app

    runner = cli.CliRunner()
    folder = runner.invoke(app, ["nnunet", "folder"]).output.strip()
    assert (nnunet.trainers_folder().samefile(folder)) and "\n" not in folder
    failed = runner.invoke(app, ["nnunet", "install", str(tmp_path)])
    assert failed.exit_code == 2 and "is no folder" in failed.output.replace("\n", " ")
    (tmp_path / "training" / "nnUNetTrainer").mkdir(parents=True)
    done = runner.invoke(app, ["nnunet", "install", str(tmp_path)])
    assert done.exit_code == 0 and "segrisk_trainers.py" in done.output.replace("\n", "")
