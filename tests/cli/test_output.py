"""Printed output: in any encoding and width, to a file or a pipe, for people and for programs."""

import io
import json
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.support.process import environment, python
from xpnet.cli import console, main
from xpnet.cli.show import Progress

QUICK = ["--epochs", "2", "--hidden", "8", "--backend", "numpy"]
ASCII = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XPNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("XPNET_DATA", raising=False)


@pytest.fixture
def table(tmp_path):
    """Column and class names in several scripts; a regression and a classification in one file."""
    rng = np.random.default_rng(0)
    rows = [
        f"{a:.3f},{'猫' if b > 0.5 else 'été'},{a + b:.3f},{'🍎' if a > 0.5 else '$苹—²'}"
        for a, b in rng.random((80, 2))
    ]
    (tmp_path / "t.csv").write_text("\n".join(["年龄,имя😀,y,标签", *rows]) + "\n", encoding="utf-8")


# -- encodings -------------------------------------------------------------------------------------------------------


def printing(monkeypatch, encoding):
    """Stdout in an encoding; what was printed is in the buffer."""
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(content, encoding=encoding, errors="strict"))
    return content


def test_the_c_locale(table, tmp_path):
    changes = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = python("-m", "xpnet", "train", "t.csv", "--target", "y", *QUICK, env=environment(**changes))
    assert done.returncode == 0, done.stderr
    assert "R? " in done.stdout.splitlines()[-1]
    assert (tmp_path / "runs/t-1/metrics.json").exists()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_names_in_any_script_are_printed_written_and_drawn(table, encoding, tmp_path, monkeypatch):
    for target, shown in (("y", "R² " if encoding == "cp1252" else "R? "), ("标签", "target   ??: classification")):
        content = printing(monkeypatch, encoding)
        assert main(["train", "t.csv", "--target", target, *QUICK, "--out", target]) == 0
        assert shown in content.getvalue().decode(encoding)
        assert (tmp_path / target / "curves.png").exists()
        assert main(["evaluate", target]) == 0
        assert main(["predict", target, "t.csv"]) == 0
        assert main(["export", target, "--onnx", "m.onnx"]) == 0
    header = (tmp_path / "predictions.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == "row,标签,probability"
    assert json.loads((tmp_path / "标签/config.json").read_text())["classes"] == ["$苹—²", "🍎"]


def test_the_bar_of_an_epoch_in_ascii(monkeypatch):
    class Terminal(io.TextIOWrapper):
        def isatty(self):
            return True

    content = io.BytesIO()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal(content, encoding="ascii", errors="strict"))
    console.tolerate()
    progress = Progress(2, ["train_loss"])
    progress.on_epoch_start(None, 1, 10)
    progress.on_batch_end(None, SimpleNamespace(samples=5, batches=3, mean=lambda name: 0.25))
    progress.close()
    sys.stdout.flush()
    assert "loss 0.2500" in content.getvalue().decode("ascii")


def test_glyphs_that_no_font_has_warn_nobody(table, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(["train", "t.csv", "--target", "标签", "--quiet", *QUICK]) == 0
    assert (tmp_path / "runs/t-1/curves.png").exists()


def test_a_picture_that_cannot_be_drawn_does_not_fail_the_run(table, monkeypatch, capsys):
    from xpnet import plot

    def broken(*args, **options):
        raise ValueError("Expected end of text, found '$'")

    monkeypatch.setattr(plot, "confusion", broken)
    assert main(["train", "t.csv", "--target", "标签", *QUICK]) == 0
    out = capsys.readouterr().out
    assert "no pictures were drawn: Expected end of text" in out
    assert "test accuracy" in out.splitlines()[-1]


@pytest.mark.parametrize(("encoding", "errors", "expected"), [
    ("ascii", "strict", b"a ? ?"), ("cp1252", "strict", b"a \xb2 ?"), ("ascii", "surrogateescape", b"a ? ?"),
    ("utf-8", "strict", "a ² ?".encode()), ("ascii", "backslashreplace", b"a \\xb2 \\udcff"),
])  # fmt: skip
def test_streams_become_tolerant(monkeypatch, encoding, errors, expected):
    content = io.BytesIO()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(content, encoding=encoding, errors=errors))
    console.tolerate()
    print("a ² \udcff", end="")
    console.flush()
    assert content.getvalue() == expected


def test_streams_that_are_not_there_or_not_files(monkeypatch):
    for stream in (None, io.StringIO()):
        monkeypatch.setattr(sys, "stdout", stream)
        console.tolerate()
        console.flush()
        console.discard()


def test_an_example_says_its_say_in_ascii(tmp_path):
    code = "from xpnet.lesson import start; start('R² — 猫', 'x.py').say('R² — 猫')"
    done = python("-c", code, env=environment(**ASCII))
    assert (done.returncode, done.stdout) == (0, "R? ? ?\n\nR? ? ?\n")  # its introduction first
    done = python("-c", code, "--help", env=environment(**ASCII))
    assert done.returncode == 0
    assert "R? ? ?" in done.stdout


# -- pipes and full disks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [
    ["-m", "xpnet", "--help"], ["-m", "xpnet", "help", "train"], ["-m", "xpnet", "models"],
    ["-c", "from xpnet.lesson import start; start(__doc__, 'x.py').say('x' * 99999)"],
    ["-c", "from xpnet.lesson import start; start(__doc__, 'x.py')", "--help"],
])  # fmt: skip
def test_a_closed_pipe_ends_quietly(command):
    process = subprocess.Popen(
        [sys.executable, *command], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()  # the reader is gone before anything is printed
    err = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(60) in (0, 1)
    assert err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_output_that_cannot_be_written(tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "xpnet", "models"], env=environment(), stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


# -- JSON ------------------------------------------------------------------------------------------------------------


def test_json_knows_no_nan():
    value = {"a": [float("nan"), 1.5, (float("inf"),)], "b": {"c": -float("inf")}, "d": True, "e": "é"}
    assert json.loads(console.to_json(value)) == {"a": [None, 1.5, [None]], "b": {"c": None}, "d": True, "e": "é"}


def test_each_command_s_json_is_all_that_stdout_holds(tmp_path, capsys):
    pytest.importorskip("sklearn")
    assert main(["train", "digits", *QUICK, "--out", "run", "--json"]) == 0
    json.loads(capsys.readouterr().out)
    (tmp_path / "bad.png").write_text("no picture")
    for command, status in (
        (["evaluate", "run"], 0), (["doctor", "run"], None), (["predict", "run", "bad.png"], 1), (["models"], 0),
        (["datasets"], 0), (["backends"], 0), (["profile", "run", "--repeats", "1"], 0),
        (["export", "run", "--onnx", "m.onnx"], 0), (["lr-range", "digits", "--steps", "10", "--backend", "numpy"], 0),
    ):  # fmt: skip
        assert main([*command, "--json"]) in ((0, 1) if status is None else (status,))
        json.loads(capsys.readouterr().out)


# -- what a training says --------------------------------------------------------------------------------------------


@pytest.fixture
def no_mnist(monkeypatch):
    pytest.importorskip("sklearn")
    from xpnet.data.readers import download

    monkeypatch.setattr(download, "_download", lambda *a: (_ for _ in ()).throw(OSError("no network")))


def test_the_fallback_is_said_first_and_last_and_nowhere_else(no_mnist, capsys):
    assert main(["train", *QUICK]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [i for i, line in enumerate(lines) if "MNIST" in line] == [0, len(lines) - 1]
    assert "could not be downloaded" in lines[0]
    assert main(["lr-range", "--steps", "10", "--backend", "numpy"]) == 0
    captured = capsys.readouterr()
    assert captured.out.count("this is not MNIST") == 1


def test_with_json_the_fallback_is_said_on_stderr(no_mnist, capsys):
    assert main(["train", *QUICK, "--json"]) == 0
    captured = capsys.readouterr()
    json.loads(captured.out)
    assert "this is not MNIST" in captured.err


def test_the_star_the_columns_and_the_next_step_are_explained(table, capsys):
    pytest.importorskip("sklearn")
    assert main(["train", "digits", *QUICK, "--out", "my run"]) == 0
    *_, columns, following, result = capsys.readouterr().out.splitlines()
    assert columns.startswith("columns  loss and accuracy of the training")
    assert "then of the validation data; *: best so far, kept" in columns
    assert following.startswith("next     xpnet predict 'my run' PICTURE.png")
    assert "xpnet evaluate 'my run'" in following
    assert result.startswith("test accuracy")
    assert main(["train", "t.csv", "--target", "y", *QUICK, "--val-split", "0"]) == 0
    *_, columns, following, result = capsys.readouterr().out.splitlines()
    assert columns == "columns  loss: means over the epoch, as it trained; *: best so far, kept"
    assert "xpnet predict runs/t-1 NEW.csv" in following
    assert main(["train", "digits", *QUICK, "--quiet", "--out", "q"]) == 0
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize(("room", "expected"), [
    (100, "epoch train loss accuracy f1 val loss accuracy f1 lr seconds"),
    (80, "epoch train loss accuracy val loss accuracy f1 lr seconds"),
    (65, "epoch train loss accuracy val loss accuracy f1"), (50, "epoch train loss accuracy val loss accuracy"),
    (40, "epoch val loss accuracy"), (10, "epoch val loss accuracy"),
])  # fmt: skip
def test_the_table_fits_a_narrow_terminal(room, expected, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(room))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    names = [f"{part}_{kind}" for part in ("train", "val") for kind in ("loss", "accuracy", "f1")]
    Progress(15, names).header()
    header = capsys.readouterr().out.rstrip("\n")
    assert header.split() == expected.split()
    assert len(header) < room or room == 10


# -- for a newcomer --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "expected"), [
    ([], "begin with:\n  xpnet train "), (["help"], "commands:\n"), (["help", "help"], "commands:\n"),
    (["-help"], "commands:\n"), (["train", "help"], "usage: xpnet train [DATASET] [OPTIONS]\n"),
    (["predict", "help"], "usage: xpnet predict"), (["train", "--help"], "\ntables:\n"),
    (["help", "predict"], "folders of them, patterns"),
])  # fmt: skip
def test_help(arguments, expected, capsys):
    assert main(arguments) == 0
    assert expected in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "expected"), [
    (["--epochs", "3", "train"], "the command goes before its options: xpnet train --epochs 3"),
    (["train", "-epochs", "3"], "; did you mean '--epochs'?"), (["train", "--batch_size=3"], "; did you mean '--batch-size'?"),
    (["train", "--dataset", "mnist"], "unrecognized arguments: --dataset"), (["help", "trian"], "; did you mean 'train'?"),
    (["Train"], "; did you mean 'train'?"), (["train", "MNIST"], "; did you mean 'mnist'?"),
    (["train", "images"], "for files in MNIST's or CIFAR's format: mnist --data-dir images"),
    (["train", "images/x-ubyte"], "for files in MNIST's or CIFAR's format: mnist --data-dir images"),
])  # fmt: skip
def test_wrong_use_ends_with_2_and_a_hint(arguments, expected, tmp_path, capsys):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/x-ubyte").write_bytes(b"\0")
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert expected in err
    assert err.startswith("xpnet: error: ")


def test_a_missing_run_says_which_there_are(tmp_path, capsys):
    for number in range(1, 8):
        (tmp_path / f"runs/digits-{number}").mkdir(parents=True)
        (tmp_path / f"runs/digits-{number}/config.json").write_text("{}")
    assert main(["evaluate"]) == 2
    shown = ", ".join(os.path.join("runs", f"digits-{n}") for n in range(1, 6))
    assert f"required: RUN; there are runs here: {shown}, ...\n" in capsys.readouterr().err


def test_ctrl_c_ends_with_130_in_every_command(tmp_path, capsys, monkeypatch):
    from xpnet.cli import models

    def press(arguments):
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(models, "run", press)
    assert main(["models"]) == 130
    assert capsys.readouterr().err == "\nxpnet: stopped\n"


def test_every_command_is_in_the_table(capsys):
    from xpnet.cli import parser as parsers
    from xpnet.cli.main import COMMANDS, build_parser

    (commands,) = [action for action in build_parser()._actions if hasattr(action, "choices") and action.choices]
    assert isinstance(commands.choices["train"], parsers.Parser)
    assert list(commands.choices) == list(COMMANDS)
    for name, command in COMMANDS.items():
        assert callable(command.run)
        assert main([name, "--help"]) == 0
        assert capsys.readouterr().out.startswith(f"usage: xpnet {name}")


def test_what_errors_say_in_a_line():
    for error, expected in [
        (FileNotFoundError(2, "No such file or directory", "x.csv"), "x.csv: No such file or directory"),
        (OSError("no network"), "no network"), (MemoryError(), "MemoryError"), (ValueError("wrong"), "wrong"),
    ]:  # fmt: skip
        assert console.describe_error(error) == expected
