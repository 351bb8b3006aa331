"""``xpnet predict``: it prepares pictures as training did, and one bad picture does not stop the others."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from xpnet.cli import main
from xpnet.cli.datasets import load_splits, prepare
from xpnet.cli.run import load_run
from xpnet.data import write_idx
from xpnet.nn import functional as F
from xpnet.train.trainer import predict as outputs_of
from xpnet_backends import to_numpy

COUNT = 25  # test images saved as pictures


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XPNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("XPNET_DATA", raising=False)


def write_idx_set(folder, images, labels, tests=40):
    folder.mkdir()
    for part, rows in (("train", slice(tests, None)), ("t10k", slice(0, tests))):
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images[rows])
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels[rows].astype(np.uint8))


def garments():
    """Ten kinds of stripes on blocks that touch the edges of a black image, at positions independent of the class."""
    rng = np.random.default_rng(0)
    labels = np.arange(440) % 10
    images = np.zeros((440, 28, 28), np.uint8)
    for image, label in zip(images, labels, strict=True):
        top, left = rng.integers(0, 6, 2)
        y, x = np.mgrid[:22, :18]
        stripes = 130 + 90 * np.sin(y * (0.3 + 0.3 * (label % 5)) if label < 5 else x * (0.3 + 0.3 * (label % 5)))
        image[top : top + 22, left : left + 18] = np.clip(stripes + rng.normal(0, 20, y.shape), 0, 255)
    return images, labels


def train(name, folder, out, *options):
    quick = ["--epochs", "2", "--batch-size", "20", "--quiet", "--backend", "numpy", "--out", str(out)]
    assert main(["train", name, "--data-dir", str(folder), *quick, *options]) == 0


def sklearn_digits():
    data = pytest.importorskip("sklearn.datasets").load_digits()
    return np.rint(data.images * 255 / 16).astype(np.uint8)[:440], data.target[:440]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs on each kind of image set, created once and cached by name."""
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def run(kind):
        if kind in made:
            return made[kind]
        data, out = folder / f"{kind} data", folder / kind
        if kind == "clothes":
            write_idx_set(data, *garments())
            train("fashion-mnist", data, out)
        elif kind == "clothes-called-digits":
            write_idx_set(data, *garments())
            train("mnist", data, out)
        elif kind in ("digits", "dark-on-light"):
            images, labels = sklearn_digits()
            write_idx_set(data, 255 - images if kind == "dark-on-light" else images, labels)
            train("mnist", data, out)
        elif kind == "wide":
            images, labels = garments()
            write_idx_set(data, images[:, 4:24, 2:], labels)
            train("mnist", data, out)
        else:
            rng = np.random.default_rng(1)
            data.mkdir()
            for name, n in (("data_batch_1.bin", 200), ("test_batch.bin", 40)):
                records = rng.integers(0, 256, (n, 3073)).astype(np.uint8)
                records[:, 0] %= 10
                (data / name).write_bytes(records.tobytes())
            train("cifar10", data, out, *(["--augment", "shift"] if kind == "colour" else ["--model", "lenet"]))
        made[kind] = out
        return out

    return run


def expected(run):
    """Probabilities as ``xpnet evaluate`` computes them, and the raw test images."""
    run = load_run(run, "numpy")
    splits = load_splits(run.settings)
    outputs = outputs_of(run.model, prepare(splits.test, run.settings).inputs[:COUNT], run.backend)
    return to_numpy(F.softmax(outputs).data), splits.test.inputs[:COUNT]


def predicted(capsys, *arguments, status=0):
    capsys.readouterr()
    assert main(["predict", *map(str, arguments), "--json", "--backend", "numpy"]) == status
    captured = capsys.readouterr()
    return json.loads(captured.out), captured.err


def save_all(images, folder, change=lambda image: image):
    folder.mkdir()
    for number, image in enumerate(images):
        pixels = image if image.ndim == 2 else image.transpose(1, 2, 0)
        Image.fromarray(change(pixels)).save(folder / f"{number:03}.png")
    return folder


@pytest.mark.parametrize(("kind", "changes"), [
    ("clothes", ["none", "rgb", "alpha", "enlarged"]), ("clothes-called-digits", ["none", "enlarged"]),
    ("digits", ["none", "rgb", "enlarged"]), ("dark-on-light", ["none", "alpha"]), ("wide", ["none", "enlarged"]),
    ("colour", ["none", "alpha", "enlarged"]), ("convolutions", ["none"]),
])  # fmt: skip
def test_predict_agrees_with_evaluate_on_the_test_images(runs, kind, changes, tmp_path, capsys):
    probabilities, images = expected(runs(kind))
    classes = load_run(runs(kind), "numpy").settings.classes
    how = {
        "none": lambda image: image,
        "rgb": lambda image: image if image.ndim == 3 else np.stack([image] * 3, axis=-1),
        "alpha": lambda image: np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]),
        "enlarged": lambda image: image.repeat(3, axis=0).repeat(3, axis=1),
    }
    for change in changes:
        results, _ = predicted(capsys, runs(kind), save_all(images, tmp_path / change, how[change]))
        found = np.array([list(result["probabilities"].values()) for result in results])
        np.testing.assert_allclose(found, probabilities, atol=1e-5, err_msg=change)
        assert [result["class"] for result in results] == [classes[label] for label in probabilities.argmax(axis=1)]


def test_the_recipe_is_in_the_run_s_config(runs):
    def kept(kind):
        return json.loads((runs(kind) / "config.json").read_text())["pictures"]

    assert kept("clothes") == {"size": [28, 28], "channels": 1, "digits": False, "ground": "dark"}
    assert kept("clothes-called-digits")["digits"] is False
    assert kept("dark-on-light") == {"size": [8, 8], "channels": 1, "digits": True, "ground": "light"}
    assert kept("wide")["size"] == [20, 26]
    assert kept("colour") == {"size": [32, 32], "channels": 3, "digits": False, "ground": ""}


def test_class_names_are_printed(runs, tmp_path, capsys):
    save_all(garments()[0][:2], tmp_path / "pictures")
    assert main(["predict", str(runs("clothes")), "pictures", "--backend", "numpy"]) == 0
    out = capsys.readouterr().out
    names = json.loads((runs("clothes") / "config.json").read_text())["classes"]
    assert out.startswith("pictures/000.png: ")
    assert out.split(": ")[1].rsplit(" (", 1)[0].split(" (")[0] in names


def test_grey_pictures_for_a_colour_run_and_colour_for_a_grey_one(runs, capsys):
    grey = np.random.default_rng(0).integers(0, 256, (32, 32)).astype(np.uint8)
    Image.fromarray(grey).save("grey.png")
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save("same.png")
    for kind in ("colour", "clothes"):
        first, second = predicted(capsys, runs(kind), "grey.png", "same.png")[0]
        assert first["probabilities"] == second["probabilities"]


def test_a_photo_on_white_is_inverted_for_a_run_on_black_and_that_is_said(runs, capsys):
    image = garments()[0][0]
    Image.fromarray(image).save("as_trained.png")
    Image.fromarray(255 - image.repeat(5, axis=0).repeat(5, axis=1)).save("photo.png")
    results, err = predicted(capsys, runs("clothes"), "as_trained.png", "photo.png")
    assert results[0]["probabilities"] == pytest.approx(results[1]["probabilities"], abs=1e-5)
    assert err == "note: photo.png: inverted, because the training images have a dark ground\n"


@pytest.mark.parametrize(("kind", "words"), [
    ("clothes", "28x28, grey, dark ground"), ("digits", "8x8, grey, digits put in the middle, dark ground"),
    ("colour", "32x32, colour"),
])  # fmt: skip
def test_a_run_without_a_recipe_gets_one_and_says_so(runs, kind, words, tmp_path, capsys):
    shutil.copytree(runs(kind), "old")
    config = json.loads((tmp_path / "old/config.json").read_text())
    del config["pictures"]
    (tmp_path / "old/config.json").write_text(json.dumps(config))
    probabilities, images = expected(runs(kind))
    results, err = predicted(capsys, "old", save_all(images, tmp_path / "pictures"))
    assert f"kept no recipe for pictures with this run; taken from its dataset: {words}\n" in err
    found = np.array([list(result["probabilities"].values()) for result in results])
    np.testing.assert_allclose(found, probabilities, atol=1e-5)


@pytest.mark.parametrize("change", [{"size": 28}, {"ground": "grey"}, {"channels": 7}])
def test_an_edited_recipe(runs, change, tmp_path, capsys):
    shutil.copytree(runs("clothes"), "run")
    config = json.loads((tmp_path / "run/config.json").read_text())
    config["pictures"].update(change)
    (tmp_path / "run/config.json").write_text(json.dumps(config))
    assert main(["predict", "run", "x.png"]) == 1
    assert "config.json was damaged or edited" in capsys.readouterr().err


# -- several pictures ------------------------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path):
    """Two good pictures, one in a folder of the folder; text, an empty file and a CSV beside them."""
    folder = save_all(garments()[0][:2], tmp_path / "pictures")
    (folder / "more").mkdir()
    shutil.move(folder / "001.png", folder / "more/001.PNG")
    (folder / "notes.txt").write_text("no picture")
    (folder / "labels.csv").write_text("a,b\n1,2\n")
    (tmp_path / "bad.png").write_text("this is no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    return folder


def test_bad_pictures_are_named_and_the_others_go_on(runs, pictures, capsys):
    names = ["bad.png", "pictures/000.png", "nowhere.png", "empty.png", "pictures/more/001.PNG"]
    results, err = predicted(capsys, runs("clothes"), *names, status=1)
    assert [result["file"] for result in results] == names
    assert [sorted(result) for result in results] == [
        ["error", "file"] if name in ("bad.png", "nowhere.png", "empty.png")
        else ["class", "file", "probabilities", "probability"] for name in names
    ]  # fmt: skip
    assert "bad.png is no image" in results[0]["error"]
    assert "no such image file" in results[2]["error"]
    assert "3 of 5 pictures could not be classified" in err
    assert main(["predict", str(runs("clothes")), *names]) == 1
    captured = capsys.readouterr()
    assert "pictures/000.png: " in captured.out
    assert "pictures/more/001.PNG: " in captured.out
    assert "bad.png is no image" in captured.err


def test_one_bad_picture_alone(runs, pictures, capsys):
    results, err = predicted(capsys, runs("clothes"), "bad.png", status=1)
    assert list(results[0]) == ["file", "error"]
    assert err.count("\n") == 1


def test_a_digit_that_is_not_found_is_named_with_its_file(runs, capsys):
    Image.new("L", (50, 50), 255).save("blank.png")
    results, _ = predicted(capsys, runs("digits"), "blank.png", status=1)
    assert results[0]["error"].startswith("blank.png: no digit found")


def test_folders_patterns_and_the_same_file_twice(runs, pictures, capsys):
    run = runs("clothes")
    both = ["pictures/000.png", "pictures/more/001.PNG"]

    def files(*arguments, status=0):
        return [result["file"] for result in predicted(capsys, run, *arguments, status=status)[0]]

    assert files("pictures") == both
    assert files("pictures/") == both
    assert files("pictures/*.png") == both[:1]
    assert files("pict*/**/*.[pP][nN][gG]") == both
    assert files(both[0], both[0]) == [both[0]] * 2
    assert files("pict*es") == both  # a folder that fits
    shutil.copy("pictures/000.png", "a[1].png")
    assert files("a[1].png") == ["a[1].png"]  # a name, not a pattern
    (pictures.parent / "none").mkdir()
    results, err = predicted(capsys, run, "none", "x*.png", both[0], status=1)
    assert "none is a folder without image files" in results[0]["error"]
    assert results[1]["error"] == "x*.png: no file matches this pattern"
    assert results[2]["file"] == both[0]
    assert "2 of 3" in err


def test_a_misspelt_file(runs, pictures, capsys):
    results, _ = predicted(capsys, runs("clothes"), "pictures/00.png", status=1)
    assert results[0]["error"].endswith("check its name and folder; did you mean '000.png'?")


def test_more_pictures_than_fit_at_once_keep_their_order(runs, tmp_path, capsys, monkeypatch):
    from xpnet.cli import predict as command

    save_all(garments()[0][:7], tmp_path / "pictures")
    together = predicted(capsys, runs("clothes"), "pictures")[0]
    monkeypatch.setattr(command, "_TOGETHER", 3)
    apart = predicted(capsys, runs("clothes"), "pictures")[0]
    assert [r["file"] for r in apart] == [f"pictures/00{i}.png" for i in range(7)]
    for one, other in zip(together, apart, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-6)


def test_a_run_after_the_picture(runs, pictures, capsys):
    shutil.copytree(runs("clothes"), "run")
    assert main(["predict", "pictures/000.png", "run"]) == 2
    assert (
        "pictures/000.png is not the folder of a run, but run is: the run's folder goes first"
        in capsys.readouterr().err
    )


def test_weights_that_are_not_numbers_give_valid_json(runs, pictures, capsys, monkeypatch):
    from xpnet.cli import predict as command

    monkeypatch.setattr(command, "_probabilities", lambda run, pixels: np.full((len(pixels), 10), np.nan))
    assert main(["predict", str(runs("clothes")), "pictures/000.png", "--json"]) == 0
    out = capsys.readouterr().out
    assert "NaN" not in out
    assert json.loads(out)[0]["probability"] is None
