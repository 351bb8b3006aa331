"""What the package promises as a whole: light, quick to import, typed, no pickle."""

import ast
import re
import tomllib
from pathlib import Path

from tests.support.process import python

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

TIME_IMPORT = """
import time
import numpy
started = time.perf_counter()
import xpnet
print(time.perf_counter() - started)
"""


def test_import_adds_little_to_numpy():
    seconds = min(float(python("-c", TIME_IMPORT).stdout) for _ in range(3))
    assert seconds < 0.15


def test_import_brings_no_heavy_library():
    code = "import sys, xpnet; print(*sys.modules)"
    loaded = set(python("-c", code).stdout.split())
    heavy = {
        "matplotlib",
        "sklearn",
        "PIL",
        "rich",
        "cupy",
        "scipy",
        "pandas",
        "torch",
        "urllib.request",
        "safetensors",
    }
    assert "xpnet.nn" in loaded
    assert not loaded & heavy


def test_the_base_install_pulls_numpy_safetensors_rich_only():
    assert {re.match(r"[\w-]+", name).group() for name in PROJECT["dependencies"]} == {"numpy", "safetensors", "rich"}


def test_both_packages_are_typed():
    assert (ROOT / "xpnet/py.typed").exists()
    assert (ROOT / "backends/xpnet_backends/py.typed").exists()


def test_nothing_imports_pickle():
    for folder in ("xpnet", "backends", "examples"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [a.name for a in getattr(node, "names", [])] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not {n.partition(".")[0] for n in names} & {"pickle", "marshal", "shelve", "dill"}, path


def test_public_names_are_documented():
    import xpnet
    from xpnet import data, explore, interchange, metrics, models, nn, ops, optim, plot, train

    for module in (
        xpnet,
        data,
        data.augment,
        explore,
        interchange,
        metrics,
        models,
        nn,
        nn.functional,
        nn.init,
        ops,
        optim,
        optim.lr_scheduler,
        plot,
        train,
    ):
        for name in getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")]):
            value = getattr(module, name)
            if callable(value) and getattr(value, "__module__", "").startswith("xpnet"):
                assert value.__doc__, f"{module.__name__}.{name} has no docstring"


def test_losses_optimizers_and_schedules_state_their_formula():
    from xpnet import nn, optim

    def lacking(module, base, sign):
        found = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, base) and c is not base]
        assert found
        return [c.__name__ for c in found if not re.search(rf"``[^`]*{sign}[^`]*``", c.__doc__ or "")]

    assert lacking(nn, nn.MSELoss.__base__, "[−²½Σ]|max") == []
    assert lacking(optim, optim.Optimizer, "θ ←") == []
    assert lacking(optim.lr_scheduler, optim.lr_scheduler.LRScheduler, "η") == ["SequentialLR"]  # it has others do it
