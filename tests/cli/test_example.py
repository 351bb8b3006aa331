"""``xpnet example``: listing, choosing and running the numbered examples."""

import tomllib
from pathlib import Path

import pytest

from xpnet.cli import example, main

ROOT = Path(__file__).parent.parent.parent

SCRIPT = '''"""Learn to {0}.

More.
"""
import sys
print("ran", sys.argv[1:], __name__)
{1}
'''


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """Two examples that replace the real ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(example.xpnet, "__file__", str(tmp_path / "xpnet/__init__.py"))
    folder = tmp_path / "examples"
    folder.mkdir()
    (folder / "01_perceptron.py").write_text(SCRIPT.format("separate", ""))
    (folder / "12_style_transfer.py").write_text(SCRIPT.format("paint", "sys.exit('12: no picture')"))
    (folder / "13_exit.py").write_text(SCRIPT.format("stop", "sys.exit(2)"))
    (folder / "14_wrong.py").write_text(SCRIPT.format("fail", "raise ValueError('bad data')"))
    (folder / "train_mnist.py").write_text(SCRIPT.format("not numbered", ""))
    return folder


def test_list(scripts, capsys):
    assert main(["example", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "01_perceptron      Learn to separate."
    assert lines[1] == "12_style_transfer  Learn to paint."
    assert not any("not numbered" in line for line in lines)
    assert main(["example", "list", "--json"]) == 2
    assert "takes no options, got --json" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["01", "1", "perceptron", "01_perceptron", "01_perceptron.py"])
def test_names_and_options(scripts, name, capsys):
    assert main(["example", name, "--quick", "--seed", "3", "--help"]) == 0
    assert capsys.readouterr().out == "ran ['--quick', '--seed', '3', '--help'] __main__\n"


def test_the_status_of_the_script_is_ours(scripts, capsys):
    assert main(["example", "style-transfer"]) == 1
    assert capsys.readouterr().err == "12: no picture\n"
    assert main(["example", "13"]) == 2
    assert main(["example", "wrong"]) == 1
    assert capsys.readouterr().err == "xpnet: error: bad data\n"


@pytest.mark.parametrize(("name", "near"), [
    ("percepton", "there is no example 'percepton'; did you mean 'perceptron'?"),
    ("01_percptron", "did you mean '01_perceptron'?"),
    ("99", "there is no example '99' (xpnet example list"),
    ("../../secret", "there is no example '../../secret'"),
])  # fmt: skip
def test_unknown_names(scripts, name, near, capsys):
    assert main(["example", name]) == 2
    assert near in capsys.readouterr().err


def test_those_packed_into_the_wheel_go_first(scripts, tmp_path):
    packed = tmp_path / "xpnet/_examples"
    packed.mkdir(parents=True)
    (packed / "01_perceptron.py").write_text('"""Packed."""')
    assert example.find_examples() == {"01_perceptron": packed / "01_perceptron.py"}


def test_where_there_are_none(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(example.xpnet, "__file__", str(tmp_path / "xpnet/__init__.py"))
    assert main(["example", "list"]) == 1
    assert "not part of this installation" in capsys.readouterr().err


def test_the_wheel_takes_them_along():
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert "examples" in wheel["only-include"]
    assert wheel["sources"]["examples"] == "xpnet/_examples"
