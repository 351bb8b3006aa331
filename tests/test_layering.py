"""Who may import whom.  The house is in docs/house.md."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Each part may import itself and what is listed; the order is that of docs/house.md.
FLOORS = {
    "xpnet_backends": set(),
    "xpnet._version": set(),
    "xpnet._extras": set(),
    "xpnet._files": set(),
    "xpnet.ops": {"xpnet_backends"},
    "xpnet.tensor": {"xpnet_backends", "xpnet.ops"},
    "xpnet.gradcheck": {"xpnet_backends", "xpnet.tensor"},
    "xpnet.serialization": {"xpnet_backends", "xpnet._files"},
    "xpnet.nn": {"xpnet_backends", "xpnet.ops", "xpnet.tensor"},
    "xpnet.optim": {"xpnet_backends", "xpnet.tensor", "xpnet.nn"},
    "xpnet.data": {"xpnet_backends", "xpnet._extras", "xpnet._files"},
    "xpnet.metrics": {"xpnet_backends", "xpnet.tensor"},
    "xpnet.models": {"xpnet_backends", "xpnet.tensor", "xpnet.nn"},
    "xpnet.train": {
        "xpnet_backends", "xpnet._files", "xpnet.data", "xpnet.metrics", "xpnet.nn", "xpnet.optim", "xpnet.serialization",
        "xpnet.tensor",
    },
    "xpnet.plot": {"xpnet_backends", "xpnet._extras", "xpnet._files"},
}  # fmt: skip
TOP = {"xpnet", "xpnet.cli", "xpnet.__main__"}  # these may import anything


def part_of(module):
    """``xpnet.nn.functional.conv`` belongs to ``xpnet.nn``."""
    if module.startswith("xpnet_backends"):
        return "xpnet_backends"
    return module if module in FLOORS or module in TOP else ".".join(module.split(".")[:2])


def modules():
    for base, top in ((ROOT / "backends", "xpnet_backends"), (ROOT, "xpnet")):
        for path in sorted((base / top).rglob("*.py")):
            yield path, ".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__")


def without_type_checking(tree):
    """Every node outside ``if TYPE_CHECKING:``."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        yield node
        waiting += ast.iter_child_nodes(node)


def imports(path, name):
    """All that a file imports, also inside functions, as absolute names."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in without_type_checking(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            if base in ("xpnet",):
                yield from (f"xpnet.{alias.name}" for alias in node.names)


def known(name):
    folder = ROOT / Path(*name.split("."))
    return folder.is_dir() or folder.with_suffix(".py").exists()


@pytest.mark.parametrize(("path", "name"), list(modules()), ids=lambda x: x if isinstance(x, str) else "")
def test_nobody_imports_from_above(path, name):
    part = part_of(name)
    if part in TOP:
        return
    for found in imports(path, name):
        if found.partition(".")[0] not in ("xpnet", "xpnet_backends") or found == "xpnet":
            continue
        if found.startswith("xpnet.") and not known(".".join(found.split(".")[:2])):
            continue  # a name, not a module
        target = "xpnet_backends" if found.startswith("xpnet_backends") else part_of(found)
        assert target == part or target in FLOORS[part], f"{name} imports {found}"


def test_the_rule_bites(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def f():\n    from xpnet.train import Trainer\n")
    assert list(imports(wrong, "xpnet.nn.wrong")) == ["xpnet.train"]
    with pytest.raises(AssertionError, match=r"xpnet\.nn\.wrong imports xpnet\.train"):
        test_nobody_imports_from_above(wrong, "xpnet.nn.wrong")


def test_cupy_is_imported_in_one_module():
    users = set()
    for path, name in modules():
        text = path.read_text()
        if any(f.partition(".")[0] == "cupy" for f in imports(path, name)) or 'import_module("cupy' in text:
            users.add(name)
    assert users == {"xpnet_backends.cupy_backend"}


def test_examples_and_benchmarks_use_public_names():
    for path in [*(ROOT / "examples").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("xpnet"):
                assert not any(a.name.startswith("_") for a in node.names), path.name
                assert "._" not in f".{node.module}", path.name
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                assert isinstance(node.value, ast.Name), path.name
                assert node.value.id == "self", f"{path.name}: {node.attr}"


def test_no_other_framework_is_imported():
    for folder in ("xpnet", "backends", "examples", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name.startswith("record_"):
                continue
            assert not {f.partition(".")[0] for f in imports(path, "x")} & {"torch", "tensorflow", "jax", "keras"}, path
