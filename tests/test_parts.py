"""The parts of the package from ``import xpnet`` alone: there when used, seen by ``dir()`` and type checkers."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

import xpnet
from tests.support.process import ROOT, environment, python

PARTS = [
    "cli",
    "data",
    "explore",
    "interchange",
    "lesson",
    "metrics",
    "models",
    "nn",
    "ops",
    "optim",
    "plot",
    "sklearn",
    "train",
]


def test_a_part_is_there_without_an_import_of_its_own():
    parts = PARTS if find_spec("sklearn") else [part for part in PARTS if part != "sklearn"]
    code = "import xpnet\n" + "\n".join(
        f"print(xpnet.{p}.__name__); from xpnet import {p} as p; p.__doc__" for p in parts
    )
    run = python("-c", code)
    assert run.stdout.split() == [f"xpnet.{part}" for part in parts], run.stderr


def test_nothing_is_imported_before_it_is_used():
    code = """
import sys, xpnet
later = {"cli", "data", "explore", "interchange", "lesson", "metrics", "models", "plot", "sklearn", "train"}
assert later <= set(dir(xpnet))
print([part for part in later if f"xpnet.{part}" in sys.modules])
xpnet.data.DataLoader, xpnet.models.LeNet5, xpnet.metrics
print(hasattr(xpnet, "data"), "xpnet.plot" in sys.modules)
from xpnet import *
print("xpnet.plot" in sys.modules)
"""
    assert python("-c", code).stdout.split("\n")[:3] == ["[]", "True False", "False"]


def test_dir_lists_what_can_be_used():
    names = dir(xpnet)
    assert {*PARTS, "Tensor", "save", "gradcheck", "__version__"} <= set(names)
    assert names == sorted(set(names))
    for name in names:
        if name not in ("plot", "sklearn"):
            assert getattr(xpnet, name) is not None or name == "__cached__", name


@pytest.mark.parametrize(("name", "meant"), [
    ("modles", "xpnet.models"), ("metric", "xpnet.metrics"), ("Tenser", "xpnet.Tensor"), ("no_gard", "xpnet.no_grad"),
    ("Linear", "xpnet.nn.Linear"), ("Adam", "xpnet.optim.Adam"), ("optimizers", "xpnet.optim"), ("trian", "xpnet.train"),
])  # fmt: skip
def test_a_typo_is_told_what_was_meant(name, meant):
    with pytest.raises(
        AttributeError, match=f"^module 'xpnet' has no attribute '{name}': did you mean {meant}\\?$"
    ) as caught:
        getattr(xpnet, name)
    assert caught.value.name == name
    assert caught.value.obj is xpnet


def test_a_name_like_nothing_else_and_private_ones():
    with pytest.raises(AttributeError, match=r"^module 'xpnet' has no attribute 'qqqqqqq'$"):
        xpnet.qqqqqqq  # noqa: B018
    with pytest.raises(AttributeError, match=r"^module 'xpnet' has no attribute '_dataa'$"):
        xpnet._dataa  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'modles'"):
        from xpnet import modles  # noqa: F401


def test_type_checkers_see_the_parts(tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed (the extra 'dev')")
    probe = tmp_path / "probe.py"
    uses = [f"print(xpnet.{part}.__name__)" for part in PARTS]
    uses += ["xpnet.data.DataLoader", "xpnet.optim.lr_scheduler.StepLR", "xpnet.modles", "xpnet.data.DataLaoder"]
    uses += ["@xpnet.no_grad\ndef f(x: int) -> str:\n    return str(x)\nreveal_type(f(1))"]
    probe.write_text("import xpnet\n" + "\n".join(uses) + "\n")
    parts = [ROOT / f"xpnet/{part}/__init__.py" for part in PARTS if part != "lesson"]
    files = [probe, ROOT / "xpnet/__init__.py", ROOT / "xpnet/tensor.py", ROOT / "xpnet/lesson.py", *parts]
    files += [ROOT / "xpnet/tape/__init__.py", ROOT / "xpnet/tape/switches.py"]
    command = [sys.executable, "-m", "mypy", "--follow-imports=skip", "--no-implicit-reexport", "--config-file=",
               f"--cache-dir={tmp_path / 'cache'}", "--ignore-missing-imports", *map(str, files)]  # fmt: skip
    run = subprocess.run(command, capture_output=True, text=True, env=environment(MYPYPATH=""), cwd=ROOT, timeout=120)
    said = [line.partition("probe.py:")[2] for line in run.stdout.splitlines() if "probe.py" in line]
    about = [line.partition(": ")[2] for line in said if "defined here" not in line]
    assert len(about) == 3, run.stdout
    assert '"modles"' in about[0]
    assert '"DataLaoder"' in about[1]
    assert about[2].startswith('note: Revealed type is "')
    assert "str" in about[2]
