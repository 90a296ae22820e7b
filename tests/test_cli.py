"""The entry point, with and without what it needs."""

import sys

import pytest

from segrisk import __version__
from segrisk.cli import main


def test_a_bare_install_says_what_to_install(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "segrisk.commands", raising=False)
    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "pip install 'segrisk[cli]'" in capsys.readouterr().err


def test_the_version_is_printed(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["segrisk", "--version"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0 and f"segrisk {__version__}" in capsys.readouterr().out
