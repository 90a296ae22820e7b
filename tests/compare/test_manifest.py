"""A manifest says which files belong together, and reads no other."""

import pytest

from mask_trees import write
from segrisk.compare.manifest import read_manifest
from segrisk.data.errors import DataError


@pytest.fixture
def manifest(tmp_path):
    """Write a manifest, and the files that its cells name; its path."""

    def make(text, encoding="utf-8"):
        for name in ("r1", "r2", "r3", "a1", "a2", "b1", "b2"):
            write(tmp_path / "data" / f"{name}.nii.gz")
        path = tmp_path / "data" / "m.csv"
        path.write_text(text, encoding=encoding)
        return path

    return make


def faults(path, **options):
    return [finding.text for finding in read_manifest(path, **options).findings]


def test_every_column_that_is_not_reserved_is_a_model(manifest):
    path = manifest(
        "task,case,group,fold,seed,reference,image,B,A\n"
        "liver,c1,p1,2,0,r1.nii.gz,r1.nii.gz,b1.nii.gz,a1.nii.gz\n"
        "liver,c2,p1,1,0,r2.nii.gz,,,a2.nii.gz\n"
    )
    read = read_manifest(path)
    assert not read.findings and read.models == ("B", "A") and read.grouped
    first, second = read.cases
    assert (first.task, first.case, first.group, first.fold, first.seed) == (
        "liver",
        "c1",
        "p1",
        2,
        0,
    )
    assert first.reference == path.parent / "r1.nii.gz"
    assert first.predictions == {
        "B": path.parent / "b1.nii.gz",
        "A": path.parent / "a1.nii.gz",
    }
    assert second.predictions["B"] is None
    assert read.images == {("liver", "c1"): path.parent / "r1.nii.gz"}


def test_only_case_and_reference_are_needed(manifest):
    read = read_manifest(manifest("case,reference,A\nc1,r1.nii.gz,a1.nii.gz\n"), task="t")
    (case,) = read.cases
    assert (case.task, case.group, case.fold, case.seed) == ("t", "c1", 0, 0) and not read.grouped


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_spreadsheets_of_any_country_are_read(manifest, encoding):
    text = ";case;reference;A\r\n0;Müller, J;r1.nii.gz;a1.nii.gz\r\n\r\n"
    (case,) = read_manifest(manifest(text, encoding)).cases
    assert case.case == "Müller, J" and case.predictions.keys() == {"A"}


@pytest.mark.parametrize("name", ["../secret.nii.gz", "/etc/passwd", "x/../../secret.nii.gz", "l"])
@pytest.mark.parametrize("column", ["reference", "A"])
def test_no_path_leaves_the_root(manifest, tmp_path, name, column):
    write(tmp_path / "secret.nii.gz")
    row = {"reference": "r1.nii.gz", "A": "a1.nii.gz", column: name}
    path = manifest("case,reference,A\nc1,{reference},{A}\n".format(**row))
    (path.parent / "l").symlink_to(tmp_path / "secret.nii.gz")
    (fault,) = faults(path)
    assert fault.startswith(f"m.csv: line 2: {name} leaves ") and "declare the folder" in fault


def test_a_declared_root_is_where_paths_begin(manifest, tmp_path):
    path = manifest(f"case,reference,A\nc1,data/r1.nii.gz,{tmp_path}/data/a1.nii.gz\n")
    (case,) = read_manifest(path, root=tmp_path).cases
    assert case.reference.is_file() and case.predictions["A"].is_file()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("case,A\nc1,a1.nii.gz\n", "m.csv: has no column reference (columns: case, A): add it"),
        ("case,reference\nc1,r1.nii.gz\n", "m.csv: has no column of a model's predictions: add"),
        ("case,reference,A\n", "m.csv: has no rows: add one for each case"),
        ("c,A\nc1,a1.nii.gz\n", "m.csv: has no column case"),
        ("case,reference,A\n,r1.nii.gz,\n", "m.csv: line 2: has no case: name it"),
        ("case,reference,A\nc1,,a1.nii.gz\n", "m.csv: line 2: has no reference: give its file"),
        ("case,seed,reference,A\nc1,x,r1.nii.gz,\n", "line 2: seed 'x' is no whole number"),
        ("case,fold,reference,A\nc1,-1,r1.nii.gz,\n", "line 2: fold '-1' is no whole number"),
        ("case,reference,A\n../c,r1.nii.gz,\n", "case '../c' has a slash or begins with a point"),
        (
            "case,reference,A\nc,r1.nii.gz,a1.nii.gz\nc,r1.nii.gz,a2.nii.gz\n",
            "m.csv: case c: has 2 rows in m, seed 0: keep one",
        ),
        (
            "case,fold,reference,A\nc,0,r1.nii.gz,a1.nii.gz\nc,1,r1.nii.gz,a2.nii.gz\n",
            "m.csv: case c: has 2 rows in m, seed 0: keep one",
        ),
        (
            "case,seed,reference,A\nc,0,r1.nii.gz,a1.nii.gz\nc,1,r2.nii.gz,a2.nii.gz\n",
            "m.csv: case c: has two references in m: give one, the same in each row",
        ),
        (
            "case,seed,group,reference,A\nc,0,p,r1.nii.gz,a1.nii.gz\nc,1,q,r1.nii.gz,a2.nii.gz\n",
            "m.csv: case c: has two groups in m: give one, the same in each row",
        ),
        (
            "case,seed,reference,A\nc,0,r1.nii.gz,\nc,1,r1.nii.gz,\nd,0,r2.nii.gz,\n",
            "m.csv: case d: has no row for seed 1 of m: add it",
        ),
        (
            "case,reference,A\nc,r1.nii.gz,a1.nii.gz\nd,r1.nii.gz,a2.nii.gz\n",
            "m.csv: r1.nii.gz is the reference of 2 cases of m: correct it",
        ),
        (
            "case,reference,A\nc,r1.nii.gz,a1.nii.gz\nd,r2.nii.gz,a1.nii.gz\n",
            "m.csv: A: a1.nii.gz stands in 2 rows: give each its own prediction",
        ),
    ],
)
def test_every_fault_is_said(manifest, text, said):
    assert any(said in fault for fault in faults(manifest(text)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("case,reference,A,A\nc,r,x,y\n", "m.csv: has 2 columns A: give each a name of its own"),
        ("case,reference,A\nc,r1.nii.gz\n", "m.csv: line 2: has 2 cells for 3 columns: correct it"),
    ],
)
def test_what_is_no_table_is_refused(manifest, text, said):
    with pytest.raises(DataError, match=said):
        read_manifest(manifest(text))


def test_an_absent_manifest_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no.csv: does not exist: correct the path"):
        read_manifest(tmp_path / "no.csv")
