"""Every network that a study can name: sizes, counts, weights, and what is refused."""

import hashlib
import sys
import warnings

import pytest
import torch
import yaml
from torch.nn.functional import conv2d
from typer.testing import CliRunner

from segrisk.commands import app
from segrisk.configuration import ConfigurationError
from segrisk.networks import NETWORKS, UNet
from segrisk.networks import weights as weights_module
from segrisk.networks.external import Imported, Monai
from segrisk.networks.isensee import Isensee
from segrisk.networks.layers import check, layers, parameters
from segrisk.networks.vgg import SHAPES, VGG16, adapted
from segrisk.networks.weights import WeightsWarning
from segrisk.study.plan import plan, prepare_tasks
from segrisk.study.reading import load_study
from tiny_study import TINY

OWN = """
import torch
from torch import nn

class Mine(nn.Conv2d):
    def __init__(self, in_channels, width=1):
        super().__init__(in_channels, 1, width)

class Two(nn.Conv2d):
    def __init__(self):
        super().__init__(1, 2, 1)

class Listed(Mine):
    def forward(self, images):
        return [super().forward(images)]

class Looks(Mine):
    def forward(self, images):
        return super().forward(images) * (1 if images.sum().item() == 0 else 2)

def number():
    return 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "own_networks", raising=False)
    (tmp_path / "own_networks.py").write_text(OWN)
    return tmp_path / "own_networks.py"


@pytest.fixture
def study(tmp_path):
    def write(network, /, **task):
        tasks = {"a": {"phantom": "molar", "cases": 12, "size": [16, 16], **task}}
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump({**TINY, "network": network, "tasks": tasks}))
        return path

    return write


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Random weights under torchvision's names, in a file with an honest name."""
    torch.manual_seed(0)
    state = {name: torch.randn(shape) / 10 for name, shape in SHAPES.items()}
    return saved(tmp_path_factory.mktemp("weights"), state | {"classifier.0.bias": torch.ones(2)})


def saved(folder, state):
    path = folder / "new.pth"
    torch.save(state, path)
    start = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return path.rename(folder / f"vgg16-{start}.pth")


def expected_isensee(dimensions, channels, filters):
    """Parameters by the description in the docstring, convolution by convolution."""

    def conv(n, m, k):
        return n * m * k**dimensions + m

    total, before = 0, channels
    for own in filters:
        total += conv(before, own, 3) + 2 * conv(own, own, 3)
        before = own
    for level in range(len(filters) - 1):
        own = filters[level]
        total += (
            conv(filters[level + 1], own, 3) + conv(2 * own, 2 * own, 3) + conv(2 * own, own, 1)
        )
        total += conv(own, 1, 1) if level < 3 else 0
    return total


@pytest.mark.parametrize(("dimensions", "channels"), [(2, 1), (3, 4)])
def test_isensee_has_the_convolutions_that_it_describes(dimensions, channels):
    network = Isensee()
    found = parameters(network.build(dimensions=dimensions, channels=channels))
    assert found == expected_isensee(dimensions, channels, network.channels)


@pytest.mark.parametrize("network", [UNet(), Isensee(), VGG16()], ids=lambda n: n.name)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_logits_have_the_size_of_the_image(network, channels):
    for dimensions in network.dimensions:
        check(network, size=(2 * network.stride,) * dimensions, channels=channels)


def test_the_numbers_of_vgg16():
    module = VGG16().build(dimensions=2, channels=3)
    assert parameters(module.features) == 14_714_688
    assert parameters(module.head) == 512 * 1024 * 9 + 1024 + 1024 * 1024 + 1024 + 1025
    convolutions = [m for m in module.features if isinstance(m, torch.nn.Conv2d)]
    assert [m.dilation[0] for m in convolutions] == [1] * 10 + [2] * 3
    shapes = [layer.shape[1:] for layer in layers(VGG16(), size=(64, 32), channels=3)]
    assert shapes[-2] == (8, 4) and shapes[-1] == (64, 32)


def test_the_unet_is_named_in_keys_as_it_ever_was():
    assert UNet().identity() == {"name": "unet", "channels": [16, 32, 64, 128]}


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_equal_channels_are_seen_as_a_grey_picture(channels):
    torch.manual_seed(0)
    weight, image = torch.randn(4, 3, 3, 3), torch.randn(1, 1, 8, 8)
    found = conv2d(image.repeat(1, channels, 1, 1), adapted(weight, channels))
    torch.testing.assert_close(found, conv2d(image.repeat(1, 3, 1, 1), weight))
    assert adapted(weight, 3) is weight


def test_weights_of_a_file_are_where_training_starts(file):
    network = VGG16(weights=str(file)).ready()
    module = network.build(dimensions=2, channels=3)
    head = module.head[0].weight.clone()
    network.pretrain(module)
    expected = torch.load(file, weights_only=True)
    assert all(torch.equal(module.state_dict()[name], expected[name]) for name in SHAPES)
    assert torch.equal(module.head[0].weight, head)
    assert network.identity()["weights"] == file.stem[-8:]
    assert VGG16(weights="random").identity()["weights"] == "random"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda s: s.pop("features.28.bias"), "has no 'features.28.bias': wanted is the state di"),
        (lambda s: s.update({"features.0.bias": torch.ones(3)}), r"shape \(3,\), not \(64,\)"),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, file, change, text):
    state = torch.load(file, weights_only=True)
    change(state)
    with pytest.raises(ConfigurationError, match=text):
        VGG16(weights=str(saved(tmp_path, state))).ready()


def test_files_that_are_not_the_weights_are_refused_in_one_line(tmp_path, study):
    wrong = tmp_path / "vgg16-397923af.pth"
    wrong.write_bytes(b"not these")
    text = "study.yaml: 'tasks.a.network': .*the SHA-256 begins with .*, not with 397923af"
    with pytest.raises(ConfigurationError, match=text):
        load_study(study({"name": "vgg16", "weights": wrong.name}))
    start = hashlib.sha256(b"not these").hexdigest()[:8]
    wrong.rename(tmp_path / f"vgg16-{start}.pth")
    with pytest.raises(ConfigurationError, match="holds no weights that PyTorch can read"):
        load_study(study({"name": "vgg16", "weights": f"vgg16-{start}.pth"}))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_study(study({"name": "vgg16", "weights": "none.pth"}))


def test_imagenet_is_fetched_once_and_random_where_it_cannot_be(tmp_path, file, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(weights_module, "ADDRESS", f"file://{tmp_path}/none/vgg16-00000000.pth")
    with pytest.warns(WeightsWarning, match="starts from random weights, not from ImageNet"):
        assert VGG16().ready().weights == "random"
    monkeypatch.setattr(weights_module, "ADDRESS", f"file://{file}")
    with pytest.warns(WeightsWarning, match=r"fetching file://.*\(59 MB\)"):
        assert VGG16().ready().weights == "imagenet"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert VGG16().ready().file == tmp_path / "checkpoints" / file.name


@pytest.mark.parametrize(
    ("network", "text"),
    [
        ("unett", "unknown network 'unett'; did you mean 'unet'?"),
        ({"chanels": [4, 8]}, "unknown key 'network.chanels'; did you mean 'channels'?"),
        ({"name": "isensee", "channels": [4]}, "'network.channels': Tuple should have at least 2"),
        ({"name": "monai"}, "'network.network' is missing"),
        ({"name": "monai", "network": "SegResNett"}, "MONAI has no network 'SegResNett'; did you"),
        ({"name": "module", "network": "Mine"}, "must be an import path such as"),
        ({"name": "module", "network": "no_such:Mine"}, "network 'no_such:Mine' cannot be import"),
        ("isensee", "a network of 7 levels needs sides that are multiples of 64"),
    ],
)
def test_a_network_that_is_not_there_is_one_clear_line(study, network, text):
    with pytest.raises(ConfigurationError) as caught:
        load_study(study(network))
    assert text in str(caught.value)


def test_vgg16_takes_no_volumes(study):
    with pytest.raises(ConfigurationError, match="'vgg16' takes images of 2 dimensions only"):
        load_study(study({"name": "vgg16", "weights": "random"}, size=[16, 16, 16]))


@pytest.mark.parametrize(
    ("name", "given", "text"),
    [
        ("Two", {}, r"returns \(2, 2, 16, 16\) in training .* wanted are logits \(2, 1, 16, 16\)"),
        ("Mine", {"width": 3}, r"returns \(2, 1, 14, 14\) in training"),
        ("Listed", {}, "returns a list of 1 in training"),
        ("Mine", {"wide": 3}, r"cannot be built with \(in_channels=1, wide=3\): .*unexpected key"),
        ("number", {}, "gives a int, not a torch.nn.Module"),
    ],
)
def test_what_is_not_logits_is_refused_before_training(study, own, tmp_path, name, given, text):
    network = {"name": "module", "network": f"own_networks:{name}", "parameters": given}
    with pytest.raises(ConfigurationError, match=f"'tasks.a.network': .*{text}"):
        prepare_tasks(load_study(study(network)), tmp_path / "data")


def test_a_network_that_looks_at_its_numbers_is_tried_with_numbers(own):
    check(Imported(network="own_networks:Looks"), size=(8, 8), channels=2)


def test_keys_follow_the_file_of_a_module(study, own, tmp_path):
    loaded = load_study(study({"name": "module", "network": "own_networks:Mine"}))
    tasks = prepare_tasks(loaded, tmp_path / "data")
    before = {cell.key for cell in plan(loaded, tasks)}
    assert before == {cell.key for cell in plan(loaded, tasks)}
    own.write_text(OWN + "\n# changed\n")
    assert before.isdisjoint(cell.key for cell in plan(loaded, tasks))


def test_a_task_with_another_network_takes_nothing_over(study):
    path = study({"channels": [4, 8]}, network={"name": "isensee", "channels": [2, 4]})
    assert load_study(path).tasks["a"].network == Isensee(channels=(2, 4))
    path = study({"name": "isensee", "channels": [2, 4]}, network={"dropout": 0.1})
    assert load_study(path).tasks["a"].network == Isensee(channels=(2, 4), dropout=0.1)


def test_monai_by_name():
    network = Monai(network="SegResNet", parameters={"init_filters": 8}, stride=8)
    check(network, size=(16, 16, 16), channels=2)
    assert "monai" in network.identity()
    with pytest.raises(ConfigurationError, match="returns a list"):
        check(Monai(network="SegResNetDS", parameters={"dsdepth": 2}), size=(32, 32), channels=1)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ((), 0, "20,483,777"),
        (("isensee", "--size", "128,64", "--channels", "4"), 0, "isensee, at 4 channels of 128×64"),
        (("vgg",), 2, "unknown network 'vgg'; did you mean 'vgg16'?"),
        (("vgg16", "--size", "8,8,8"), 2, "takes images of 2 dimensions"),
        (("monai",), 2, "write it into a study file"),
        (("unet", "--size", "8"), 2, "must be two or three numbers, such as 64,64"),
    ],
)
def test_segrisk_networks(monkeypatch, arguments, code, text):
    monkeypatch.setenv("COLUMNS", "200")
    result = CliRunner().invoke(app, ["networks", *arguments])
    assert result.exit_code == code and text in " ".join(result.output.split())
    assert bool(arguments) or all(name in result.output for name in NETWORKS)


def test_segrisk_networks_shows_the_layers_of_a_study(monkeypatch, study):
    monkeypatch.setattr(sys, "path", list(sys.path))
    result = CliRunner().invoke(app, ["networks", str(study({"channels": [4, 8]}))])
    assert result.exit_code == 0 and "a: unet, at 1 channel of 16×16" in result.output
