"""The command line: normal use and misuse."""

import csv
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import xpnet
from tests.support.process import environment, python
from xpnet.cli import main
from xpnet.data import ArrayDataset, write_idx

pytest.importorskip("sklearn", reason="these tests train on scikit-learn's digits: pip install 'xpnet[sklearn]'")

QUICK = ["train", "digits", "--epochs", "2", "--backend", "numpy"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """In an empty folder, with an empty cache and no data folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XPNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("XPNET_DATA", raising=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run on the digits; tests copy it before they change it."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert main(["train", "digits", "--epochs", "8", "--quiet", "--backend", "numpy", "--out", str(folder)]) == 0
    return folder


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def fails(capsys, *arguments, status, match):
    """The command ends with ``status`` and one line that says why."""
    assert main(list(arguments)) == status
    err = capsys.readouterr().err
    assert match in err, err
    assert "Traceback" not in err
    return err


def write_csv(path, images, labels=None, **header):
    names = [f"pixel{i}" for i in range(images[0].size)]
    rows = [names if labels is None else ["label", *names]]
    for i, image in enumerate(images):
        rows.append([*([] if labels is None else [labels[i]]), *image.ravel().tolist()])
    text = "\n".join(",".join(map(str, row)) for row in rows) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return rows


def digits():
    from sklearn.datasets import load_digits

    found = load_digits()
    return np.rint(found.images * 255 / 16).astype(int), found.target


def test_a_run_has_everything(tmp_path, capsys):
    assert main(QUICK) == 0
    run = tmp_path / "runs/digits-1"
    names = {p.name for p in run.iterdir()}
    assert names == {
        "config.json", "metrics.json", "history.csv", "best.safetensors", "last.safetensors", "curves.png",
        "confusion.png",
    }  # fmt: skip
    metrics = json.loads((run / "metrics.json").read_text())
    expected = {"test_accuracy", "test_loss", "seconds", "samples_per_second", "backend", "dataset", "seed", "version"}
    assert expected <= set(metrics)
    assert metrics["dataset"] == "digits"
    assert metrics["version"] == xpnet.__version__
    assert len(read_csv(run / "history.csv")) == 2
    out = capsys.readouterr().out
    assert "test accuracy" in out.splitlines()[-1]
    assert (run / "curves.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_runs_are_numbered_by_themselves(tmp_path):
    for _ in range(2):
        assert main([*QUICK, "--quiet"]) == 0
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["digits-1", "digits-2"]


def test_the_same_seed_twice_gives_the_same_history(tmp_path):
    for name in ("a", "b"):
        assert main([*QUICK, "--quiet", "--dropout", "0.3", "--seed", "4", "--out", name]) == 0
    assert (tmp_path / "a/history.csv").read_bytes() == (tmp_path / "b/history.csv").read_bytes()
    assert main([*QUICK, "--quiet", "--dropout", "0.3", "--seed", "5", "--out", "c"]) == 0
    assert (tmp_path / "a/history.csv").read_bytes() != (tmp_path / "c/history.csv").read_bytes()


def test_without_mnist_it_says_so_first_and_last_and_learns_the_digits(tmp_path, monkeypatch, capsys):
    from xpnet.data.readers import download

    monkeypatch.setattr(download, "_download", lambda *a: (_ for _ in ()).throw(OSError("no network")))
    assert main(["train", "--backend", "numpy"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "MNIST" in lines[0]
    assert lines[-1].startswith("note: this is not MNIST")
    metrics = json.loads((tmp_path / "runs/digits-1/metrics.json").read_text())
    assert metrics["test_accuracy"] >= 0.95


@pytest.mark.parametrize(
    ("command", "reads"), [(["train", "--epochs", "1", "--quiet"], 1), (["lr-range", "--steps", "10"], 1)]
)
def test_mnist_without_a_name_is_read_once(command, reads, monkeypatch, capsys):
    from xpnet.cli import datasets

    rng, calls = np.random.default_rng(0), []

    def load(data_dir, **options):
        calls.append(data_dir)
        sizes = (300, 50)
        return tuple(
            ArrayDataset(rng.integers(0, 256, (n, 28, 28)).astype("uint8"), np.arange(n) % 10, name="mnist")
            for n in sizes
        )

    monkeypatch.setattr(datasets, "load_mnist", load)
    assert main([*command, "--data-dir", "somewhere", "--backend", "numpy"]) == 0
    assert calls == ["somewhere"] * reads
    if command[0] == "train":
        assert json.loads(Path("runs/mnist-1/metrics.json").read_text())["dataset"] == "mnist"
        assert main(["evaluate", "runs/mnist-1", "--backend", "numpy"]) == 0
        assert len(calls) == 2


def test_mnist_by_name_is_insisted_on(monkeypatch, capsys):
    from xpnet.data.readers import download

    monkeypatch.setattr(download, "_download", lambda *a: (_ for _ in ()).throw(OSError("no network")))
    err = fails(capsys, "train", "mnist", status=1, match="MNIST could not be downloaded from any of 3 mirrors")
    assert "--data-dir" in err
    assert "no network" in err


def test_json_and_quiet(capsys):
    assert main([*QUICK, "--json"]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert result["run"] == os.path.join("runs", "digits-1")
    assert 0 < result["test_accuracy"] <= 1
    assert main([*QUICK, "--quiet"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_resume_takes_only_epochs_and_goes_on(tmp_path, capsys):
    assert main([*QUICK, "--quiet"]) == 0
    err = fails(
        capsys,
        "train",
        "--resume",
        "runs/digits-1",
        "--lr",
        "0.1",
        status=2,
        match="only --epochs and --data-dir may be given",
    )
    assert "--lr" in err
    assert main(["train", "--resume", "runs/digits-1", "--epochs", "4"]) == 0
    assert "resumed after epoch 2 of 4" in capsys.readouterr().out
    assert len(read_csv(tmp_path / "runs/digits-1/history.csv")) == 4
    assert main(["train", "--resume", "runs/digits-1"]) == 0
    assert "all epochs are done" in capsys.readouterr().out


def test_evaluate_gives_the_run_s_own_numbers(trained, capsys):
    metrics = json.loads((trained / "metrics.json").read_text())
    assert main(["evaluate", str(trained), "--json", "--backend", "numpy"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["test_accuracy"] == metrics["test_accuracy"]
    assert result["test_loss"] == metrics["test_loss"]
    assert main(["evaluate", str(trained), "--backend", "numpy"]) == 0
    assert "taken for" in capsys.readouterr().out


def test_predict_images(tmp_path, trained, capsys):
    from PIL import Image

    images, labels = digits()
    big = Image.fromarray(np.pad(images[0].astype(np.uint8), 3)).resize((200, 200))
    big.save(tmp_path / "dark.png")
    Image.fromarray(255 - np.asarray(big)).save(tmp_path / "light.jpg")
    assert main(["predict", str(trained), "dark.png", "light.jpg", "--backend", "numpy"]) == 0
    out = capsys.readouterr().out
    assert f"dark.png: {labels[0]} (" in out
    assert f"light.jpg: {labels[0]} (" in out
    assert main(["predict", str(trained), "dark.png", "--json", "--backend", "numpy"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert result["class"] == str(labels[0])
    assert sum(result["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_csv_in_and_submission_out(tmp_path, capsys):
    images, labels = digits()
    write_csv(tmp_path / "train.csv.gz", images[:1200], labels[:1200])
    write_csv(tmp_path / "test.csv", images[1200:1300])
    assert main(["train", "train.csv.gz", "--epochs", "8", "--quiet", "--backend", "numpy"]) == 0
    assert main(["predict", "runs/train-1", "test.csv", "--backend", "numpy"]) == 0
    rows = read_csv(tmp_path / "submission.csv")
    assert [row["ImageId"] for row in rows[:3]] == ["1", "2", "3"]
    right = np.mean([int(row["Label"]) == label for row, label in zip(rows, labels[1200:1300], strict=True)])
    assert right > 0.85
    assert "100 predictions written to submission.csv" in capsys.readouterr().out


def test_help_version_backends(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"xpnet {xpnet.__version__}"
    assert main([]) == 0
    assert "examples:" in capsys.readouterr().out
    assert main(["train", "--help"]) == 0
    assert "examples:" in capsys.readouterr().out
    assert main(["backends"]) == 0
    out = capsys.readouterr().out
    assert "numpy   usable" in out
    assert "cupy" in out
    assert main(["models"]) == 0
    assert "lenet" in capsys.readouterr().out
    assert main(["models", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"mlp", "lenet", "resnet20", "resnet18", "alexnet", "vgg11"}
    assert main(["datasets", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["mnist", "fashion-mnist", "cifar10", "digits", "FILE.csv"]
    assert main(["backends", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["backends"]["numpy"]["usable"] is True


def test_python_dash_m(tmp_path):
    done = python("-m", "xpnet", "--version")
    assert done.stdout.strip() == f"xpnet {xpnet.__version__}"
    assert done.returncode == 0


@pytest.mark.parametrize(("arguments", "match"), [
    (["train", "imagenet"], "unknown dataset 'imagenet': choose mnist, fashion-mnist, cifar10, digits"),
    (["train", "digits", "--model", "gpt"], "invalid choice: 'gpt'"),
    (["train", "digits", "--model", "lenet"], "lenet takes square images of 28x28 or 32x32, these are 8x8"),
    (["train", "digits", "--model", "resnet20", "--dropout", "0.1"], "resnet20 has no dropout"),
    (["train", "digits", "--optimizer", "magic"], "invalid choice: 'magic'"),
    (["train", "digits", "--epochs", "0"], "must be a positive whole number, got 0"),
    (["train", "digits", "--dropout", "1"], "must be at least 0 and below 1, got 1"),
    (["train", "digits", "--lr", "-1"], "must be a number >= 0, got -1"),
    (["train", "digits", "--seed", "-1"], "whole number in 0..2**64-1, got -1"),
    (["train", "digits", "--batch-size", "5000"], "--batch-size 5000 is larger than the training data"),
    (["train", "--resume", "nowhere"], "nowhere is not the folder of a run: it has no config.json"),
    (["evaluate", "nowhere"], "nowhere is not the folder of a run"),
    (["frobnicate"], "invalid choice: 'frobnicate'"),
    (["train", "mnits"], "did you mean 'mnist'?"),
    (["train", "digits", "--model", "lenett"], "; did you mean 'lenet'?"),
    (["trian"], "; did you mean 'train'?"),
    (["train", "digits", "--epoch", "3"], "unrecognized arguments: --epoch 3; did you mean '--epochs'?"),
    (["train", "digits", "--optimiser=sgd"], "; did you mean '--optimizer'?"),
    (["train", "digits", "--learning-rate", "0.1"], "; did you mean '--lr'?"),
    (["evaluate", "x", "--jsn"], "; did you mean '--json'?"),
    (["--versoin"], "; did you mean '--version'?"),
    (["models", "lenet"], "unrecognized arguments: lenet\n"),
    (["train", "digits", "--epochs", "ten"], "must be a positive whole number, got ten"),
    (["train", "digits", "--lr", "fast"], "must be a number >= 0, got fast"),
    (["train", "digits", "--lr", "nan"], "must be a number >= 0, got nan"),
    (["train", "digits", "--hidden", "0"], "must be a positive whole number, got 0\n"),
    (["train", "digits", "--hidden", "128,64"], "got 128,64: put spaces between the numbers"),
    (["train", "--hidden", "64", "digits"], "got digits: the dataset goes before the options"),
    (["lr-range", "digits", "--out", "no/lr.png"], "--out no/lr.png: there is no folder no"),
    (["profile", "x", "--out", "no/p.png"], "--out no/p.png: there is no folder no"),
    (["train", "digits", "--backend", "nump"], "; did you mean 'numpy'?"),
])  # fmt: skip
def test_wrong_use_ends_with_2(arguments, match, tmp_path, capsys):
    fails(capsys, *arguments, status=2, match=match)
    assert not list((tmp_path / "runs").glob("*")), "nothing was begun"


def test_a_long_usage_is_not_printed_after_an_error(capsys):
    err = fails(capsys, "train", "digits", "--epochs", "0", status=2, match="xpnet train --help shows all options\n")
    assert len(err.splitlines()) == 2
    assert "usage: xpnet export" in fails(capsys, "export", status=2, match="are required: RUN, --onnx")


def test_help_as_a_command(capsys):
    for arguments, text in ((["help"], "examples:"), (["help", "predict"], "usage: xpnet predict")):
        assert main(arguments) == 0
        assert text in capsys.readouterr().out


def test_a_folder_that_is_no_run_says_where_runs_are(tmp_path, capsys):
    assert main([*QUICK, "--epochs", "1", "--quiet"]) == 0
    none = "is not the folder of a run: it has no config.json"
    fails(capsys, "evaluate", "runs", status=2, match=f"runs {none}; there are runs in it: runs/digits-1\n")
    fails(capsys, "evaluate", ".", status=2, match=f"{none}; there are runs in it: runs/digits-1\n")
    fails(capsys, "evaluate", "digits-1", status=2, match=f"{none}; did you mean 'runs/digits-1'?\n")
    fails(capsys, "evaluate", "runs/digit-1", status=2, match=f"{none}; did you mean 'runs/digits-1'?\n")
    weights = "runs/digits-1/best.safetensors"
    fails(capsys, "evaluate", weights, status=2, match=f"{weights} {none}; its folder is runs/digits-1\n")
    fails(capsys, "evaluate", "no/where", status=2, match=f"{none}\n")


def test_a_run_of_another_version(tmp_path, trained, capsys):
    shutil.copytree(trained, tmp_path / "run")
    path = tmp_path / "run/config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "warmup": 3, "version": "9.1"}))
    match = f"'warmup' is not known here (the run was made by xpnet 9.1, this is {xpnet.__version__})"
    fails(capsys, "evaluate", "run", status=1, match=match)


def test_the_name_of_a_file_for_the_run_s_folder(tmp_path, capsys):
    (tmp_path / "a.png").write_text("")
    fails(capsys, *QUICK, "--out", "a.png", status=2, match="--out a.png is a file: give the name of a new folder")


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    from xpnet.cli.show import Progress

    def press(self, trainer, meter):
        if (trainer.epoch, meter.batches) == (1, 3):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Progress, "on_batch_end", press)
    assert main([*QUICK, "--out", "run"]) == 130
    err = capsys.readouterr().err
    assert "stopped: saved after epoch 1, step 3; resume with: xpnet train --resume run" in err
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--resume", "run", "--quiet"]) == 0
    assert len(read_csv(tmp_path / "run/history.csv")) == 2


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} -m xpnet example list | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], env=environment(), capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_an_unknown_or_unusable_backend(capsys):
    fails(capsys, *QUICK[:2], "--backend", "tpu", status=2, match="unknown backend 'tpu': choose one of numpy, cupy")
    if not xpnet.available_backends().count("cupy"):
        fails(capsys, *QUICK[:2], "--backend", "cupy", status=1, match="backend='cupy' is not available")


def test_a_folder_that_holds_a_run_is_not_overwritten(trained, capsys):
    fails(capsys, *QUICK, "--out", str(trained), status=2, match="already holds a run")


def test_a_csv_that_is_wrong(tmp_path, capsys):
    images, labels = digits()
    path = tmp_path / "bad.csv"
    write_csv(path, images[:20], labels[:20])
    whole = path.read_text().splitlines()
    changes = {
        "line 1 lacks the column 'pixel63'": [whole[0].removesuffix(",pixel63"), *whole[1:]],
        "line 4, column 2: 'cat' is not a number": [
            *whole[:3],
            whole[3].replace("," + whole[3].split(",")[1], ",cat", 1),
        ],
        "line 6 has 64 values, the header has 65": [*whole[:5], whole[5].rpartition(",")[0]],
        "line 3, column 1: label 77 is not a whole number in 0..9": [*whole[:2], "77" + whole[2][1:]],
        "has a header and no rows": whole[:1],
    }
    for match, lines in changes.items():
        path.write_text("\n".join(lines))
        fails(capsys, "train", "bad.csv", "--backend", "numpy", status=1, match=match)
    write_csv(path, images[:20])
    fails(capsys, "train", "bad.csv", "--backend", "numpy", status=2, match="has no label column")
    fails(capsys, "train", "nowhere.csv", "--backend", "numpy", status=1, match="nowhere.csv: No such file")


def test_damaged_runs(tmp_path, trained, capsys):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    weights = run / "best.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    fails(capsys, "evaluate", "run", "--backend", "numpy", status=1, match="truncated, edited or is something else")
    weights.unlink()
    fails(capsys, "evaluate", "run", "--backend", "numpy", status=1, match="has no best.safetensors yet")
    fails(capsys, "train", "--resume", "run", status=1, match="best.safetensors is missing, although 8 epochs are done")
    weights.write_bytes(whole)
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "hidden": [64]}))
    fails(capsys, "evaluate", "run", "--backend", "numpy", status=1, match="expected shape (64, 64), got (128, 64)")
    fails(capsys, "train", "--resume", "run", status=1, match="does not fit this run")
    for text in ("{", "[]", json.dumps({**config, "hidden": ["x"]}), json.dumps({**config, "extra": 1})):
        (run / "config.json").write_text(text)
        fails(capsys, "evaluate", "run", "--backend", "numpy", status=1, match="config.json was damaged or edited")


def test_predict_what_is_no_image(tmp_path, trained, capsys):
    (tmp_path / "text.png").write_text("this is no picture")
    fails(capsys, "predict", str(trained), "text.png", "--backend", "numpy", status=1, match="text.png")
    fails(capsys, "predict", str(trained), "nowhere.png", "--backend", "numpy", status=1, match="nowhere.png")
    write_csv(tmp_path / "t.csv", digits()[0][:3])
    fails(capsys, "predict", str(trained), "t.csv", "text.png", status=2, match="either images or one CSV file")


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, capsys):
    arguments = [*QUICK[:2], "--optimizer", "sgd", "--lr", "1e30", "--epochs", "3", "--backend", "numpy"]
    err = fails(capsys, *arguments, status=1, match="the loss became")
    assert "epoch 1, step" in err


def test_an_unwritable_folder(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    fails(capsys, *QUICK, "--out", "file/run", status=1, match="file/run")


def test_a_full_disk_loses_nothing(tmp_path, trained, capsys, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    before = {p.name: p.read_bytes() for p in run.iterdir()}

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    fails(capsys, "train", "--resume", "run", "--epochs", "9", status=1, match="No space left on device")
    assert {p.name: p.read_bytes() for p in run.iterdir()} == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_really_full_disk(tmp_path, capsys):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("this machine does not let tests mount a file system")
    try:
        arguments = [
            "train",
            "digits",
            "--epochs",
            "2",
            "--hidden",
            "200",
            "--backend",
            "numpy",
            "--out",
            str(disk / "run"),
        ]
        fails(capsys, *arguments, status=1, match="No space left on device")
        assert not list((disk / "run").glob("*.part"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_without_matplotlib_the_rest_is_done(tmp_path):
    block = "import sys; sys.modules['matplotlib'] = None; from xpnet.cli import main; sys.exit(main(sys.argv[1:]))"
    done = python("-c", block, *QUICK, env=environment())
    assert done.returncode == 0, done.stderr
    assert 'pip install "xpnet[plot]"' in done.stdout
    assert (tmp_path / "runs/digits-1/metrics.json").exists()
    assert not (tmp_path / "runs/digits-1/curves.png").exists()


def test_without_scikit_learn(tmp_path):
    block = "import sys; sys.modules['sklearn'] = None; from xpnet.cli import main; sys.exit(main(sys.argv[1:]))"
    done = python("-c", block, *QUICK, env=environment())
    assert done.returncode == 1
    assert 'pip install "xpnet[sklearn]"' in done.stderr


def test_a_convolutional_network_from_the_command_line(tmp_path, capsys):
    images, labels = digits()
    write_csv(tmp_path / "few.csv", images[:200], labels[:200])
    arguments = ["train", "few.csv", "--model", "alexnet", "--epochs", "1", "--quiet", "--out", "conv"]
    assert main([*arguments, "--backend", "numpy"]) == 0
    accuracy = json.loads((tmp_path / "conv/metrics.json").read_text())["test_accuracy"]
    assert main(["evaluate", "conv", "--json", "--backend", "numpy"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["test_accuracy"] == accuracy


def test_colour_images_from_the_command_line(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name, n in (("data_batch_1.bin", 120), ("test_batch.bin", 20)):
        records = rng.integers(0, 256, (n, 3073)).astype(np.uint8)
        records[:, 0] %= 10
        (tmp_path / name).write_bytes(records.tobytes())
    arguments = ["train", "cifar10", "--data-dir", str(tmp_path), "--epochs", "1", "--batch-size", "32"]
    assert main([*arguments, "--model", "resnet20", "--quiet", "--out", "net", "--backend", "numpy"]) == 0
    assert json.loads((tmp_path / "net/config.json").read_text())["input_shape"] == [3, 32, 32]
    assert main(["evaluate", "net", "--backend", "numpy"]) == 0
    fails(capsys, "predict", "net", "x.png", "--backend", "numpy", status=1, match="x.png: no such image file")


def test_fashion_mnist_from_the_command_line(tmp_path):
    rng = np.random.default_rng(0)
    for part, n in (("train", 200), ("t10k", 20)):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", rng.integers(0, 256, (n, 28, 28)).astype(np.uint8))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", rng.integers(0, 10, n).astype(np.uint8))
    arguments = ["train", "fashion-mnist", "--data-dir", str(tmp_path), "--epochs", "1", "--model", "lenet"]
    assert main([*arguments, "--quiet", "--out", "clothes", "--backend", "numpy"]) == 0
    config = json.loads((tmp_path / "clothes/config.json").read_text())
    assert (config["classes"][0], config["classes"][9]) == ("T-shirt/top", "Ankle boot")
    assert main(["evaluate", "clothes", "--backend", "numpy"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_mnist_with_its_defaults(data_dir, seed, capsys):
    """The first five epochs already reach the accuracy that 15 epochs must reach."""
    arguments = ["train", "mnist", "--data-dir", str(data_dir), "--epochs", "5", "--seed", str(seed), "--json"]
    assert main([*arguments, "--backend", "numpy"]) == 0
    assert json.loads(capsys.readouterr().out)["test_accuracy"] >= 0.975
