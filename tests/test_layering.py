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
    "xpnet.tape": {"xpnet_backends"},
    "xpnet._operands": {"xpnet_backends", "xpnet.ops", "xpnet.tape"},
    "xpnet.tensor": {"xpnet_backends", "xpnet.ops", "xpnet.tape", "xpnet._operands"},
    "xpnet.gradcheck": {"xpnet_backends", "xpnet.tape", "xpnet.tensor"},
    "xpnet.serialization": {"xpnet_backends", "xpnet._files"},
    "xpnet.nn": {"xpnet_backends", "xpnet.ops", "xpnet.tape", "xpnet.tensor"},
    "xpnet.optim": {"xpnet_backends", "xpnet.tape", "xpnet.tensor", "xpnet.nn"},
    "xpnet.data": {"xpnet_backends", "xpnet._extras", "xpnet._files", "xpnet.tensor"},
    "xpnet.metrics": {"xpnet_backends", "xpnet.tensor"},
    "xpnet.models": {"xpnet_backends", "xpnet.tensor", "xpnet.nn"},
    "xpnet.interchange": {
        "xpnet_backends", "xpnet._files", "xpnet._version", "xpnet.nn", "xpnet.ops", "xpnet.serialization", "xpnet.tensor",
    },
    "xpnet.train": {
        "xpnet_backends", "xpnet._files", "xpnet.data", "xpnet.metrics", "xpnet.nn", "xpnet.ops", "xpnet.optim",
        "xpnet.serialization", "xpnet.tape", "xpnet.tensor",
    },
    "xpnet.plot": {"xpnet_backends", "xpnet._extras", "xpnet._files"},
    "xpnet.explore": {
        "xpnet_backends", "xpnet._files", "xpnet.data", "xpnet.metrics", "xpnet.nn", "xpnet.ops", "xpnet.optim",
        "xpnet.serialization", "xpnet.tape", "xpnet.tensor", "xpnet.train", "xpnet.plot", "xpnet.models", "xpnet.interchange",
    },
    "xpnet.sklearn": {
        "xpnet_backends", "xpnet._extras", "xpnet.data", "xpnet.nn", "xpnet.optim", "xpnet.serialization", "xpnet.tensor",
        "xpnet.train",
    },
}  # fmt: skip
TOP = {"xpnet", "xpnet.cli", "xpnet.lesson", "xpnet.__main__"}  # these may import anything


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
    """Every node outside the body of ``if TYPE_CHECKING:``."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            waiting += node.orelse
            continue
        yield node
        waiting += ast.iter_child_nodes(node)


def imports(path, name):
    """All that a file imports, also inside functions and by ``import_module("...")``, as absolute names."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in without_type_checking(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"xpnet.{alias.name}" for alias in node.names) if base == "xpnet" else (base,)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in DYNAMIC:
            yield from (a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str))


DYNAMIC = {"import_module", "importlib.import_module", "__import__"}


def known(name):
    folder = ROOT / Path(*name.split("."))
    return folder.is_dir() or folder.with_suffix(".py").exists()


by_module = pytest.mark.parametrize(("path", "name"), list(modules()), ids=lambda x: x if isinstance(x, str) else "")


@by_module
def test_nobody_imports_from_above(path, name):
    part = part_of(name)
    if part in TOP:
        return
    for found in imports(path, name):
        if found.partition(".")[0] not in ("xpnet", "xpnet_backends"):
            continue
        assert found != "xpnet", f"{name} imports xpnet itself, and with it all that is above"
        assert not found.startswith("xpnet.") or known(".".join(found.split(".")[:2])), (
            f"{name} imports {found} from the top"
        )
        target = part_of(found)
        assert target == part or target in FLOORS[part], f"{name} imports {found}"


@by_module
def test_functional_knows_no_layers(path, name):
    for found in imports(path, name) if name.startswith("xpnet.nn.functional") else ():
        assert not found.startswith("xpnet.nn") or found.startswith("xpnet.nn.functional"), f"{name} imports {found}"


def private_imports(path, name):
    """Names that begin with an underscore, taken from another module of ours; private modules of a package are not meant."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    ours = {}  # local name -> module, for modules imported as a whole
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base.partition(".")[0] not in ("xpnet", "xpnet_backends"):
                continue
            for alias in node.names:
                if known(f"{base}.{alias.name}") or known_backend(f"{base}.{alias.name}"):
                    ours[alias.asname or alias.name] = f"{base}.{alias.name}"
                elif alias.name.startswith("_") and not alias.name.endswith("__"):
                    yield f"{base}.{alias.name}"
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ours):
            continue
        if node.attr.startswith("_") and not node.attr.endswith("__"):
            yield f"{ours[node.value.id]}.{node.attr}"


def known_backend(name):
    folder = ROOT / "backends" / Path(*name.split("."))
    return folder.is_dir() or folder.with_suffix(".py").exists()


def graph(files):
    """What each module imports, also within functions: modules, and the packages around them that are not around itself."""
    names = {name for _, name in files}
    found = {}
    for path, name in files:
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        found[name] = set()
        for node in without_type_checking(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found[name] |= {alias.name for alias in node.names} & names
            elif isinstance(node, ast.ImportFrom):
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                base = ".".join([*above, *([node.module] if node.module else [])])
                inside = {f"{base}.{alias.name}" for alias in node.names} & names
                found[name] |= inside if len(inside) == len(node.names) else inside | ({base} & names)
        run = {above for imported in found[name] for above in packages(imported)} & names  # their __init__ is run too
        found[name] |= {above for above in run if not f"{name}.".startswith(f"{above}.")}
        found[name].discard(name)
    return found


def packages(name):
    """``a.b.c`` stands in ``a.b`` and ``a``."""
    while name := name.rpartition(".")[0]:
        yield name


def circles(graph):
    """The modules that stand in a circle: those left when, again and again, what imports none of the others is taken."""
    left = {name: set(imported) for name, imported in graph.items()}
    while free := {name for name, imported in left.items() if not imported & left.keys()}:
        left = {name: imported for name, imported in left.items() if name not in free}
    while free := {name for name in left if not any(name in imported for imported in left.values())}:
        left = {name: imported for name, imported in left.items() if name not in free}
    return sorted(left)


def test_no_modules_import_each_other_in_a_circle():
    assert circles(graph(list(modules()))) == []


def test_the_search_for_circles_bites(tmp_path):
    texts = {
        "a": "from b import x", "b": "y = 1", "c": "import a",
        "d": "import a", "e": "x = 1",
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(f"{text}\n")
    assert circles(graph([(tmp_path / f"{name}.py", name) for name in texts])) == []
    (tmp_path / "b.py").write_text("def f():\n    from c import y\n")
    assert circles(graph([(tmp_path / f"{name}.py", name) for name in texts])) == ["a", "b", "c"]
    (tmp_path / "b.py").write_text("if TYPE_CHECKING:\n    from c import y\n")
    assert circles(graph([(tmp_path / f"{name}.py", name) for name in texts])) == []


@by_module
def test_nobody_takes_a_private_name_of_another_module(path, name):
    assert list(private_imports(path, name)) == []


@pytest.mark.parametrize(("lines", "found"), [
    ("from xpnet.tape import _clock", "xpnet.tape._clock"),
    ("from ..tape import Node, _clock", "xpnet.tape._clock"),
    ("from xpnet_backends import select\nselect._lock", "xpnet_backends.select._lock"),
    ("from xpnet import tape as t\ndef f():\n    return t._clock", "xpnet.tape._clock"),
])  # fmt: skip
def test_the_search_for_private_names_bites(lines, found, tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text(f"{lines}\n")
    assert list(private_imports(wrong, "xpnet.nn.wrong")) == [found]


@pytest.mark.parametrize(("line", "found", "message"), [
    ("def f():\n    from xpnet.train import Trainer", "xpnet.train", r"xpnet\.nn\.wrong imports xpnet\.train"),
    ("from ..train import Trainer", "xpnet.train", "imports xpnet.train"),
    ("from .. import optim", "xpnet.optim", "imports xpnet.optim"),
    ("from xpnet import cli", "xpnet.cli", "imports xpnet.cli"),
    ("from xpnet import Trainer", "xpnet.Trainer", "imports xpnet.Trainer from the top"),
    ("import xpnet", "xpnet", "imports xpnet itself"),
    ("import importlib\nimportlib.import_module('xpnet.plot')", "xpnet.plot", "imports xpnet.plot"),
    ("if TYPE_CHECKING:\n    import xpnet.cli\nelse:\n    import xpnet.data", "xpnet.data", "imports xpnet.data"),
])  # fmt: skip
def test_the_rule_bites(line, found, message, tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text(f"{line}\n")
    assert found in set(imports(wrong, "xpnet.nn.wrong"))
    assert "xpnet.cli" not in set(imports(wrong, "xpnet.nn.wrong")) - {found}
    with pytest.raises(AssertionError, match=message):
        test_nobody_imports_from_above(wrong, "xpnet.nn.wrong")


def test_what_is_for_types_only_may_come_from_anywhere(tmp_path):
    right = tmp_path / "right.py"
    right.write_text(
        "if TYPE_CHECKING:\n    from xpnet.train import Trainer\nimport typing\nif typing.TYPE_CHECKING:\n    import xpnet\n"
    )
    assert list(imports(right, "xpnet.nn.right")) == ["typing"]


def test_every_module_has_a_floor():
    assert {part_of(name) for _, name in modules()} == set(FLOORS) | TOP


def test_functional_is_a_floor_of_its_own(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from xpnet.nn.linear import Linear\n")
    with pytest.raises(AssertionError, match=r"imports xpnet\.nn\.linear"):
        test_functional_knows_no_layers(wrong, "xpnet.nn.functional.wrong")


def test_cupy_is_imported_in_one_module():
    users = {name for path, name in modules() if any(f.partition(".")[0] == "cupy" for f in imports(path, name))}
    assert users == {"xpnet_backends.cupy_backend"}


def allows_pickle(path):
    return any(
        isinstance(node, ast.keyword) and node.arg == "allow_pickle" and getattr(node.value, "value", True) is not False
        for node in ast.walk(ast.parse(path.read_text()))
    )


def test_no_pickle_anywhere():
    files = [
        p
        for folder in ("xpnet", "backends", "examples", "benchmarks", "ci", "tests")
        for p in (ROOT / folder).rglob("*.py")
    ]
    users = {p.name for p in files if {f.partition(".")[0] for f in imports(p, "x")} & PICKLES}
    assert users == {"test_standin.py"}  # that pickling an array of the stand-in is a transfer
    assert not [p for p in files if allows_pickle(p)]


PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def test_the_search_for_pickle_bites(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("np.load('x', allow_pickle=True)")
    assert allows_pickle(wrong)
    wrong.write_text("np.load('x', allow_pickle=False)")
    assert not allows_pickle(wrong)


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
