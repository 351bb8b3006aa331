"""What the examples share."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import xpnet
from xpnet import lesson, plot

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def begin(monkeypatch, tmp_path, *arguments, **options):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "argv", ["x", "--out", str(tmp_path / "o"), *arguments])
    with xpnet.use(backend="numpy"):
        return lesson.start("About.", "examples/01_x.py", **options)


def test_a_lesson_leaves_numbers_and_pictures(monkeypatch, tmp_path, capsys):
    found = begin(monkeypatch, tmp_path, "--quick", "--seed", "3")
    assert (found.quick, found.seed, found.backend.name, found.name) == (True, 3, "numpy", "01_x")
    found.draw("curve", lambda: plot.curves({"epoch": [1, 2], "train_loss": [2.0, 1.0]}))
    found.finish({"accuracy": np.float32(0.123456789), "bad": np.nan, "list": [1, 2.5], "deep": {1: np.int64(4)}})
    result = json.loads((tmp_path / "o/metrics.json").read_text())
    assert result["accuracy"] == 0.123457
    assert result["bad"] is None
    assert result["list"] == [1, 2.5]
    assert result["deep"] == {"1": 4.0}
    assert result["example"] == "01_x"
    assert (tmp_path / "o/curve.png").read_bytes().startswith(b"\x89PNG")
    assert str(tmp_path / "o") in capsys.readouterr().out


WARNING = "--quick: this run was too short to learn from; its figures and pictures mean nothing"


def test_the_last_line_of_a_quick_run_says_that_its_figures_mean_nothing(monkeypatch, tmp_path, capsys):
    found = begin(monkeypatch, tmp_path, "--quick")
    found.say("accuracy 0.9")
    found.finish({"accuracy": 0.9})
    assert capsys.readouterr().out.splitlines()[-1] == WARNING
    begin(monkeypatch, tmp_path).finish({})
    assert WARNING not in capsys.readouterr().out


@pytest.mark.parametrize(("body", "status"), [
    ("lesson.say('accuracy 0.9')", 0), ("lesson.say('{}'); raise SystemExit(3)", 3), ("lesson.say('x'); lesson.refuse('no')", 2),
    ("lesson.say('x'); raise KeyboardInterrupt", 130), ("lesson.say('x'); 1 / 0", 1),
    ("lesson.finish({}); lesson.say('one more')", 0),
])  # fmt: skip
def test_a_quick_run_that_ends_early_says_so_too(body, status, tmp_path):
    run = run_lesson(body, tmp_path, "--quick")
    assert run.returncode == status
    assert run.stdout.splitlines()[-1] == WARNING
    assert WARNING not in run_lesson(body, tmp_path).stdout


def test_wrong_use_of_a_quick_run_needs_no_warning(tmp_path):
    assert run_lesson("lesson.refuse('no such column')", tmp_path, "--quick").stdout == "About.\n\n"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_introduces_itself_and_ends_with_its_lesson(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    what, why, look = lesson.introduction(ast.get_docstring(tree))
    assert what.endswith((".", ":", "?")) or "." in what
    assert why.startswith("Why: ")
    assert look.startswith("Look at: ")
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert calls.count("start") == 1  # which prints the introduction
    assert ast.unparse(tree.body[-1]).startswith("lesson.finish(")  # so that the last line is that of the lesson
    assert "print" not in calls


def test_the_introduction_is_printed_first(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "argv", ["x", "--out", str(tmp_path)])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with xpnet.use(backend="numpy"):
        lesson.start("A line.\n\nWhy: so.\nLook at: it.\n\nMore.", "examples/01_x.py")
    assert capsys.readouterr().out == "A line.\nWhy: so.\nLook at: it.\n\n"
    assert lesson.introduction(None) == []
    assert lesson.introduction("A line.\n\nUsage: x") == ["A line."]


def test_without_matplotlib_it_goes_on_and_says_so(monkeypatch, tmp_path, capsys):
    from xpnet._extras import MissingExtraError

    def draw():
        raise MissingExtraError("drawing needs matplotlib")

    found = begin(monkeypatch, tmp_path)
    found.draw("x", draw)
    found.animate("y", (draw() for _ in range(2)))
    found.finish({})
    assert "no pictures were drawn: drawing needs matplotlib" in capsys.readouterr().out


def test_pictures_that_move(monkeypatch, tmp_path):
    found = begin(monkeypatch, tmp_path)
    found.animate("a", (plot.lines({"loss": [2, k]}) for k in range(3)), seconds=0.1)
    assert (tmp_path / "o/a.gif").read_bytes().startswith(b"GIF89a")


def test_what_cannot_be_done_is_one_line_and_status_2(monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        begin(monkeypatch, tmp_path).refuse(ValueError("no such column"))
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "01_x.py: error: no such column\n"


def test_a_file_that_is_not_there_is_named_without_numbers(monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit):
        begin(monkeypatch, tmp_path).refuse(FileNotFoundError(2, "No such file or directory", "a.csv"))
    assert capsys.readouterr().err == "01_x.py: error: a.csv: No such file or directory\n"


def test_options_of_its_own(monkeypatch, tmp_path):
    found = begin(monkeypatch, tmp_path, "--data", "d", add_options=lambda p: p.add_argument("--data"))
    assert found.options.data == "d"


@pytest.mark.parametrize(("arguments", "message"), [
    (["--backend", "tpu"], "tpu"), (["--seed", "-1"], r"must be a whole number in 0\.\.2\*\*63-1, got -1"),
    (["--seed", "x"], r"--seed: must be a whole number in .*, got x"), (["--bogus"], "unrecognized arguments: --bogus"),
    (["--epochs", "x"], "must be a whole number from 1 on, got x"), (["--lr", "nan"], "must be a finite number, got nan"),
    (["--lr", "much"], "must be a finite number, got much"),
])  # fmt: skip
def test_wrong_use_is_one_line_and_status_2(arguments, message, tmp_path):
    run = run_lesson("", tmp_path, *arguments)
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)
    assert re.search(message, run.stderr)


def run_lesson(body, folder, *arguments):
    """A lesson whose text is ``body``, as a program of its own."""
    options = "lambda p: [p.add_argument('--epochs', type=positive), p.add_argument('--lr', type=number)]"
    code = "import os, xpnet\nfrom xpnet.lesson import number, positive, start\n"
    code += f"lesson = start('About.', 'examples/01_x.py', {options})\n{body}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)


@pytest.mark.parametrize(("body", "status", "message"), [
    ("raise KeyboardInterrupt", 130, "\n01_x.py: stopped; what is written so far is complete\n"),
    ("open('none.bin')", 1, "01_x.py: error: none.bin: No such file or directory\n"),
    ("lesson.write('a/b', 'x')", 1, r"01_x.py: error: out/01_x/a/b: cannot write .*\n"),
    ("raise xpnet.data.DataError('a.idx is cut off')", 1, "01_x.py: error: a.idx is cut off\n"),
    ("raise MemoryError", 1, "01_x.py: error: MemoryError\n"),
    ("raise BrokenPipeError", 1, ""),
    ("1 / 0", 1, "Traceback (?s:.*)ZeroDivisionError: division by zero\n"),  # a fault in the code is shown in full
])  # fmt: skip
def test_what_goes_wrong_later(body, status, message, tmp_path):
    run = run_lesson(body, tmp_path)
    assert run.returncode == status
    assert re.fullmatch(message, run.stderr)


def test_the_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "out").write_text("a file")
    run = run_lesson("", tmp_path)
    assert run.returncode == 1
    assert run.stderr.startswith("01_x.py: error: cannot write to out")
    assert "None" not in run.stderr
