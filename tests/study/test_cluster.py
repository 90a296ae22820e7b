"""The Ray engine: the bytes of the local one, also when a node goes; what it asks a cluster for."""

import subprocess
import time

import pytest
import yaml

from segrisk.configuration import ConfigurationError, validate
from segrisk.study.config import Study
from segrisk.study.resources import Resources
from tiny_study import TINY, command, environment

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'segrisk[ray]'")
from segrisk.study import cluster  # noqa: E402

SCORES = ("scores.csv", "scores_by_validation_dice.csv", "tests.csv", "surrogates.csv")
SMALL = {"object_store_memory": 80 * 2**20}


def same_scores(out, finished):
    expected = finished[0] / "out" / "report"
    return [n for n in SCORES if (out / "report" / n).read_bytes() == (expected / n).read_bytes()]


def test_one_node_gives_the_bytes_of_the_local_engine(finished, tmp_path):
    # A loss beside the study file is found by Ray's workers as well.
    (tmp_path / "mine.py").write_text("def plain(logits, target):\n    raise RuntimeError('no')\n")
    losses = [*TINY["losses"], {"name": "mine", "loss": "mine:plain"}]
    file, out = tmp_path / "study.yaml", tmp_path / "out"
    engine = {"name": "ray", "address": "local", "workers": 2, "resources": {"cpus": 0.5}}
    file.write_text(yaml.safe_dump({**TINY, "losses": losses, "engine": engine}))
    result = subprocess.run(
        command("study", "run", file, "--out", out),
        capture_output=True,
        text=True,
        env=environment(),
        timeout=300,
    )
    assert "0 of 8 cells need no training, 8 do; 2 at a time" in result.stdout, result.stderr
    assert "failed  molar fold 1 seed 0 mine: RuntimeError: no" in result.stdout
    expected = finished[0] / "out"
    for path in expected.glob("cells/*/*.csv"):
        assert (out / path.relative_to(expected)).read_bytes() == path.read_bytes(), path


@pytest.fixture
def two_nodes(tmp_path):
    """A head that runs nothing, and two nodes of one processor; each with a cache of its own."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, **SMALL}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    caches = [tmp_path / "cache of node 1", tmp_path / "cache of node 2"]
    own = [
        nodes.add_node(num_cpus=1, env_vars={"SEGRISK_CACHE": str(cache)}, **SMALL)
        for cache in caches
    ]
    yield nodes, own, caches
    nodes.shutdown()


@pytest.fixture(autouse=True)
def a_token_of_its_own(monkeypatch):
    """Otherwise a Ray that is started here leaves one in the home folder."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 32)


def begun(file, out, address, cache):
    return subprocess.Popen(
        command("study", "run", file, "--out", out, "--engine", "ray"),
        env={**environment(), "RAY_ADDRESS": address, "SEGRISK_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ends_well(process):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0 and "failed" not in output, output
    assert output.count("\ndone  ") == 6, output


@pytest.mark.slow
def test_a_node_that_is_lost_mid_run_changes_no_byte(finished, tmp_path, two_nodes):
    nodes, own, _ = two_nodes
    out = tmp_path / "out"
    process = begun(finished[0] / "study.yaml", out, nodes.address, tmp_path / "none")
    while len(list(out.glob("cells/*.partial/checkpoint.pt"))) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    nodes.remove_node(own[1], allow_graceful=False)
    ends_well(process)
    assert same_scores(out, finished) == list(SCORES)


@pytest.mark.slow
def test_nodes_that_share_no_folder_pass_cells_on_through_storage(finished, tmp_path, two_nodes):
    nodes, own, caches = two_nodes
    place = tmp_path / "place"
    process = begun(finished[0] / "study.yaml", place.as_uri(), nodes.address, tmp_path / "head")
    while not list(caches[1].glob("*/cells/*.partial/checkpoint.pt")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    nodes.remove_node(own[1], allow_graceful=False)
    ends_well(process)
    assert same_scores(place, finished) == list(SCORES)
    assert len(list(caches[0].glob("*/cells/*/manifest.json"))) >= 5  # the other made one at most


def test_a_cell_is_given_what_the_study_says():
    def study(**changes):
        return validate(Study, {**TINY, "device": "cpu", **changes}, "study.yaml")

    assert cluster.needed(Resources(), study(threads=4)) == {"CPU": 4}
    given = Resources(cpus=2.5, gpus=0.25, memory="2GiB")
    assert cluster.needed(given, study()) == {"CPU": 2.5, "GPU": 0.25, "memory": 2 * 2**30}
    assert cluster.needed(Resources(), study(device="cuda")) == {"CPU": 1, "GPU": 1}


def test_no_cluster_is_an_error_that_says_how_to_start_one(monkeypatch):
    def refuse(**_):
        raise ConnectionError("nobody")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(ConfigurationError, match=r"answers at 'node7:6379'.*`ray start --head`"):
        cluster._join("node7")


def test_a_node_with_other_versions_is_refused():
    planned = {**cluster.versions(), "torch": "1.0"}
    with pytest.raises(cluster.StoreError, match="install the same there, for the same bits"):
        cluster.run_on_node(None, planned, ())


def test_a_node_that_does_not_see_the_folder_says_so(tmp_path):
    work = type("Work", (), {"remote": None, "root": tmp_path})
    with pytest.raises(cluster.StoreError, match="does not see the results folder"):
        cluster._here(work)
