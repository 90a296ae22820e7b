"""`segrisk losses`: what it prints, and what a person gets who writes something wrong."""

import pytest
from typer.testing import CliRunner

from segrisk.commands import app
from segrisk.losses import CrossEntropy, SoftDice
from segrisk.losses.registry import LOSSES, LossError, build_loss, option_names


def run(*arguments, width=80, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    result = CliRunner().invoke(app, ["losses", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert all(len(line) <= width for line in result.stdout.splitlines())
    return result.exit_code, " ".join(result.output.split())


def test_every_loss_is_listed(monkeypatch):
    code, text = run("list", monkeypatch=monkeypatch, width=120)
    assert code == 0 and all(name in text for name in LOSSES)


@pytest.mark.parametrize("width", [80, 120])
def test_explain_prints_formula_measurements_and_traps(monkeypatch, width):
    code, text = run(
        "explain", "soft_dice", "--option", "empty=skip", width=width, monkeypatch=monkeypatch
    )
    assert code == 0
    assert "formula 1 − 2·tp / (2·tp + fp + fn)" in text
    assert "empty-unpunished" in text and "instead empty='penalise'" in text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("cross_entropy",), "no trap found"),
        (("0.5*cross_entropy + soft_dice", "--option", "pool=batch"), "summand 0.5 × CE"),
        (("monai.losses:DiceLoss", "--option", "sigmoid=true"), "smoothing-both"),
        (("torch.nn.functional:binary_cross_entropy_with_logits",), "formula CE"),
        (("soft_dice", "--labels", "overlapping", "--classes", "3"), "labels are refused"),
        (("--help",), "segrisk losses explain soft_dice --option pool=batch"),
    ],
)
def test_losses_are_named_as_in_studies_and_added(monkeypatch, arguments, text):
    code, printed = run("explain", *arguments, width=120, monkeypatch=monkeypatch)
    assert code == 0 and text in printed


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("soft_dise",), "error: unknown loss 'soft_dise'; did you mean 'soft_dice'?"),
        (("soft_dice", "--option", "pol=batch"), "'soft_dice' has no option 'pol'; did you mean"),
        (("soft_dice", "--option", "pool"), "--option 'pool' must be NAME=VALUE, such as pool=ba"),
        (("soft_dice", "--option", "pool=space"), "pool may name 'batch' and 'class', got 'space'"),
        (("soft_dice", "--labels", "sof"), "got 'sof'; did you mean 'soft'?"),
        (("soft_dice", "--batch", "0"), "batch must be a whole number from 1, got 0"),
        (("no_such:Loss",), "loss 'no_such:Loss' cannot be imported: No module named 'no_such'"),
        (("math:pi",), "loss 'math:pi' is not callable"),
        (("cross_entropy - soft_dice",), "cannot be read from '- soft_dice' on: write a name, or"),
        (("cross_entropy +",), "cannot be read from '' on"),
        (("weighted_cross_entropy",), "weighted_cross_entropy(): give either the prior or the we"),
        (("soft_tversky", "--option", "alpha=x"), "soft_tversky(alpha='x'): '<' not supported"),
    ],
)
def test_what_is_wrong_is_one_line(monkeypatch, arguments, text):
    code, printed = run("explain", *arguments, width=300, monkeypatch=monkeypatch)
    assert code == 2 and text in printed and printed.count("error:") == 1


def test_options_are_read_as_what_they_stand_for():
    loss = build_loss("soft_dice", {"pool": "batch", "ignore_index": "255", "background": "false"})
    assert (loss.reduction.pool, loss.ignore_index) == (("batch",), 255)
    assert loss.reduction.background is False
    assert build_loss("soft_dice", {"class_weight": "1, 2.5"}).reduction.class_weight == (1, 2.5)
    assert build_loss("weighted_cross_entropy", {"prior": "0.1"}).prior == (0.1,)
    assert build_loss("weighted_cross_entropy", {"prior": "0.1,0.9"}).prior == (0.1, 0.9)
    assert build_loss("soft_jaccard", {"pool": "none"}).reduction.pool == ()


def test_options_of_a_sum_go_where_they_are_known():
    loss = build_loss("1e-1*cross_entropy+2*soft_dice", {"pool": "batch", "empty": "skip"})
    assert loss.factors == (0.1, 2) and isinstance(loss.losses[0], CrossEntropy)
    assert [part.reduction.pool for part in loss.losses] == [("batch",), ("batch",)]
    assert isinstance(loss.losses[1], SoftDice) and loss.losses[1].reduction.empty == "skip"


def test_a_function_takes_its_options_after_logits_and_target():
    loss = build_loss("torch.nn.functional:cross_entropy", {"label_smoothing": "0.1"})
    assert loss.keywords == {"label_smoothing": 0.1}
    with pytest.raises(LossError, match="has no option 'labels_smoothing'; did you mean 'label_sm"):
        build_loss("torch.nn.functional:cross_entropy", {"labels_smoothing": "0.1"})


@pytest.mark.parametrize("name", LOSSES)
def test_options_are_those_of_the_constructor(name):
    names = option_names(LOSSES[name])
    assert "ignore_index" in names and "similarity" not in names
    given = {"prior": 0.2} if name == "weighted_cross_entropy" else {}
    for option in names:
        if option not in {"prior", "weights"}:
            default = {"alpha": 0.3, "beta": 0.7, "gamma": 2.0, "k": 0.1}.get(option)
            known = {"pool": (), "empty": "penalise", "background": True, "relaxation": "l1"}
            value = {**known, "errors": "probability", "exact": False}.get(option, default)
            LOSSES[name](**given, **{option: value})
