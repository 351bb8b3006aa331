"""``xpnet train FILE.csv --target COLUMN``: normal use and misuse."""

import csv
import json
import shutil

import numpy as np
import pytest

from xpnet.cli import main
from xpnet.cli.run import load_run
from xpnet.cli.settings import read_settings
from xpnet.data import TablePreprocessor
from xpnet.interchange import from_onnx

PICTURES = {"curves.png", "confusion.png"}
FILES = {"config.json", "metrics.json", "history.csv", "best.safetensors", "last.safetensors"}
QUICK = ["--backend", "numpy", "--quiet"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XPNET_DATA", raising=False)


def people(n, seed=0):
    """A class (came back) that depends on age and town, with missing cells, and a number (money spent)."""
    rng = np.random.default_rng(seed)
    ages, towns = rng.integers(18, 80, n), rng.choice(["Rome", "Oslo", "Bern"], n)
    came = (ages > 45) ^ (towns == "Oslo")
    spent = 3.0 * ages + 50.0 * (towns == "Rome") + rng.normal(size=n)
    rows = [["PersonId", "name", "age", "town", "spent", "came"]]
    for i in range(n):
        age = "" if i % 11 == 5 else ages[i]
        rows.append([i + 1, f"person {i}", age, towns[i], f"{spent[i]:.2f}", "yes" if came[i] else "no"])
    return rows


def write(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return str(path)


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Completed runs of both tasks; tests copy them before changing them."""
    folder = tmp_path_factory.mktemp("tables")
    file = write(folder / "people.csv", people(300))
    for target, run in (("came", "classes"), ("spent", "numbers")):
        options = ["--epochs", "30", "--lr", "0.01", "--out", str(folder / run), *QUICK]
        assert main(["train", file, "--target", target, *options]) == 0
    return folder


def fails(capsys, *arguments, status, match):
    assert main(list(arguments)) == status
    err = capsys.readouterr().err
    assert match in err, err
    assert "Traceback" not in err


def test_what_is_said_and_written(tmp_path, capsys):
    write(tmp_path / "people.csv", people(120))
    assert main(["train", "people.csv", "--target", "came", "--epochs", "2", "--backend", "numpy"]) == 0
    out = capsys.readouterr().out
    for said in (
        "table    people.csv: 120 rows, 6 columns",
        "PersonId  id          a different whole number in each row",
        "name      text        120 different texts in 120 rows: left out",
        "town      categorical 3 different texts",
        "missing: filled with the median",
        "target   came: classification (two values): no",
        "86 training, 10 validation, 24 test samples",
        "test accuracy",
    ):
        assert said in out, said
    run = tmp_path / "runs/people-1"
    names = {p.name for p in run.iterdir()}
    assert names - PICTURES == FILES
    assert "test_accuracy" in json.loads((run / "metrics.json").read_text())


def test_classes_are_learned(trained, capsys):
    metrics = json.loads((trained / "classes/metrics.json").read_text())
    assert metrics["test_accuracy"] > 0.85
    assert main(["evaluate", str(trained / "classes"), "--json", "--backend", "numpy"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["test_accuracy"], result["test_loss"]) == (metrics["test_accuracy"], metrics["test_loss"])
    assert result["samples"] == 60


def test_numbers_are_learned(trained, capsys):
    metrics = json.loads((trained / "numbers/metrics.json").read_text())
    assert metrics["test_r2"] > 0.8
    assert metrics["test_rmse"] < 40
    assert "confusion.png" not in {p.name for p in (trained / "numbers").iterdir()}
    assert main(["evaluate", str(trained / "numbers"), "--backend", "numpy"]) == 0
    out = capsys.readouterr().out
    assert f"test RMSE {metrics['test_rmse']:.4g}, mean absolute error" in out
    assert f"R² {metrics['test_r2']:.4f}" in out


def test_raw_rows_in_predictions_out(tmp_path, trained, capsys):
    rows = people(40, seed=1)
    rows[3][3] = "Paris"
    raw = write(tmp_path / "new.csv", [row[:-1] for row in rows])  # without the target
    assert main(["predict", str(trained / "classes"), raw, "--backend", "numpy"]) == 0
    out = capsys.readouterr().out
    assert "line 4, column 'town': 'Paris' was never seen in training" in out
    assert "40 predictions written to predictions.csv" in out
    found = read(tmp_path / "predictions.csv")
    assert list(found[0]) == ["PersonId", "came", "probability"]
    assert [row["PersonId"] for row in found] == [str(i + 1) for i in range(40)]
    right = [row["came"] == truth[-1] for row, truth in zip(found, rows[1:], strict=True)]
    assert np.mean(right) > 0.8
    assert all(0.5 <= float(row["probability"]) <= 1 for row in found)


def test_one_row_alone_is_predicted_like_among_others(tmp_path, trained, capsys):
    rows = people(5, seed=2)
    for name, part in (("all.csv", rows), ("one.csv", [rows[0], rows[3]])):
        arguments = ["predict", str(trained / "numbers"), write(tmp_path / name, part), "--out", f"out-{name}"]
        assert main([*arguments, "--backend", "numpy"]) == 0
    capsys.readouterr()
    one, among = read(tmp_path / "out-one.csv")[0], read(tmp_path / "out-all.csv")[2]
    assert one["PersonId"] == among["PersonId"] == "3"
    assert float(one["spent"]) == pytest.approx(float(among["spent"]), rel=1e-5)


def test_labelled_rows_of_another_file(tmp_path, trained, capsys):
    rows = people(60, seed=3)
    rows[5][-1] = ""  # not known: left out
    file = write(tmp_path / "later.csv", rows)
    assert main(["evaluate", str(trained / "classes"), "--data", file, "--json", "--backend", "numpy"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["samples"], result["dataset"]) == (59, file)
    assert result["test_accuracy"] > 0.8
    rows[5][-1] = "no"
    write(tmp_path / "later.csv", rows)
    assert main(["predict", str(trained / "classes"), file, "--json", "--backend", "numpy"]) == 0
    predicted = json.loads(capsys.readouterr().out)
    assert predicted["rows"] == 60
    assert abs(predicted["accuracy"] - result["test_accuracy"]) < 0.03
    assert main(["predict", str(trained / "numbers"), file, "--backend", "numpy"]) == 0
    assert "on its own spent: RMSE" in capsys.readouterr().out


def test_the_run_holds_its_preprocessing(trained):
    settings = read_settings(trained / "classes")
    prepare = TablePreprocessor.from_state(settings.table["preprocessing"])
    assert settings.classes == prepare.classes == ["no", "yes"]
    assert settings.input_shape == [len(prepare.outputs)]
    assert (settings.task, settings.batch_size) == ("classification", 32)


def test_resume_is_exact(tmp_path):
    file = write(tmp_path / "people.csv", people(100))
    options = ["--target", "came", "--schedule", "none", "--class-weight", "balanced", *QUICK]
    assert main(["train", file, *options, "--epochs", "4", "--out", "whole"]) == 0
    assert main(["train", file, *options, "--epochs", "2", "--out", "cut"]) == 0
    assert main(["train", "--resume", "cut", "--epochs", "4", "--quiet"]) == 0
    assert (tmp_path / "cut/history.csv").read_bytes() == (tmp_path / "whole/history.csv").read_bytes()
    assert (tmp_path / "cut/best.safetensors").read_bytes() == (tmp_path / "whole/best.safetensors").read_bytes()


def test_a_file_that_changed_is_not_taken_for_the_old_one(tmp_path, capsys):
    file = write(tmp_path / "people.csv", people(60))
    assert main(["train", file, "--target", "came", "--epochs", "1", "--out", "run", *QUICK]) == 0
    write(tmp_path / "people.csv", people(61))
    for arguments in (["evaluate", "run"], ["train", "--resume", "run"]):
        fails(capsys, *arguments, status=1, match="people.csv was changed after the run began")
    assert main(["evaluate", "run", "--data", file]) == 0


def test_what_was_asked_for(tmp_path, capsys):
    rows = people(80)
    file = write(tmp_path / "people.csv", rows)
    options = ["--ignore", "town", "spent", "--categorical", "age", "--val-split", "0", "--epochs", "2"]
    assert main(["train", file, "--target", "came", *options, "--backend", "numpy"]) == 0
    out = capsys.readouterr().out
    assert "town      ignore      as asked for" in out
    assert "64 training, 16 test samples" in out
    assert "age       categorical as asked for" in out
    assert main(["train", file, "--target", "age", "--task", "classification", "--epochs", "1", "--quiet"]) == 1
    assert "these are not classes" in capsys.readouterr().err
    body = write(tmp_path / "body.csv", [[row[3], row[5]] for row in rows[1:]])
    assert main(["train", body, "--target", "column2", "--no-header", "--epochs", "1", *QUICK]) == 0
    assert read_settings(tmp_path / "runs/body-1").table["preprocessing"]["header"] is False


def test_semicolons_no_header_and_rows_without_target(tmp_path, capsys):
    lines = [f"{i / 7:.3f};{i % 5};{'' if i == 3 else 'ab'[i % 2]}" for i in range(60)]
    (tmp_path / "data.csv").write_text("\n".join(lines))
    assert main(["train", "data.csv", "--target", "column3", "--epochs", "1", "--backend", "numpy"]) == 0
    out = capsys.readouterr().out
    assert "note: the cells of data.csv are divided by semicolons" in out
    assert "note: the first row looks like data: no header, columns column1 to column3" in out
    assert "note: 1 row without column3 left out" in out
    (tmp_path / "new.csv").write_text("1.0;2\n3.0;4\n")
    assert main(["predict", "runs/data-1", "new.csv", "--backend", "numpy"]) == 0
    assert [row["row"] for row in read(tmp_path / "predictions.csv")] == ["1", "2"]


@pytest.mark.parametrize(("arguments", "status", "match"), [
    (["people.csv"], 2, "people.csv is not a CSV of digits (label,pixel0,...). For another table name the column to learn, e.g. --target came"),
    (["people.csv", "--target", "Came"], 2, "people.csv has no column 'Came'; did you mean 'came'? (its columns: PersonId, name"),
    (["people.csv", "--target", "xyz"], 2, "people.csv has no column 'xyz' (its columns:"),
    (["people.csv", "--target", "came", "--ignore", "twon"], 2, "no column 'twon'; did you mean 'town'?"),
    (["people.csv", "--target", "name"], 1, "the target 'name' has 60 different values in 60 rows: these are not classes"),
    (["people.csv", "--target", "town", "--task", "regression"], 1, "line 2, column 'town': "),
    (["people.csv", "--target", "spent", "--class-weight", "balanced"], 2, "--class-weight is for classes"),
    (["people.csv", "--target", "came", "--model", "lenet"], 2, "lenet takes images: for a table leave --model out"),
    (["people.csv", "--target", "came", "--batch-size", "50"], 2, "--batch-size 50 is larger than the training data (43"),
    (["people.csv", "--target", "came", "--task", "ranking"], 2, "invalid choice: 'ranking'"),
    (["people.csv", "--task", "regression"], 2, "--task is for tables: name the column to learn with --target"),
    (["mnist", "--target", "came"], 2, "--target is for tables: xpnet train FILE.csv --target COLUMN"),
    (["--target", "came"], 2, "--target is for tables"),
    (["nowhere.csv", "--target", "came"], 1, "nowhere.csv: No such file"),
    (["few.csv", "--target", "y"], 1, "2 rows in 2 classes are too few to put 10% of them aside"),
    (["ragged.csv", "--target", "y"], 1, "line 3 has 1 values, the first row has 2"),
    (["infinite.csv", "--target", "y"], 1, "line 3, column 'x': 'inf' is not finite: correct it or leave it empty"),
    (["constant.csv", "--target", "y"], 1, "no column to learn 'y' from (x: always '1': left out)"),
])  # fmt: skip
def test_wrong_use(arguments, status, match, tmp_path, capsys):
    write(tmp_path / "people.csv", people(60))
    (tmp_path / "few.csv").write_text("x,y\n1,a\n2,b\n3,a\n")
    (tmp_path / "ragged.csv").write_text("x,y\n1,a\n2\n")
    (tmp_path / "infinite.csv").write_text("x,y\n1,a\ninf,b\n" + "2,a\n3,b\n" * 9)
    (tmp_path / "constant.csv").write_text("x,y\n" + "1,a\n1,b\n" * 9)
    fails(capsys, "train", *arguments, "--quiet", status=status, match=match)
    assert not list((tmp_path / "runs").glob("*")), "nothing was begun"


@pytest.mark.parametrize(("run", "output", "width"), [("classes", "logits", 2), ("numbers", "value", 1)])
def test_export_takes_prepared_rows_and_keeps_how(trained, tmp_path, capsys, run, output, width):
    assert main(["export", str(trained / run), "--onnx", "m.onnx"]) == 0
    said = capsys.readouterr().out
    assert f"float32 -> {output} (N, {width})" in said
    assert "in the metadata (preprocessing)" in said
    model = from_onnx(tmp_path / "m.onnx")
    assert model.output_names == [output]
    prepare = TablePreprocessor.from_state(json.loads(model.metadata["preprocessing"]))
    x = prepare.transform(prepare.read(trained / "people.csv"))[:7]
    np.testing.assert_allclose(
        model(x).numpy(), load_run(trained / run, "numpy").model(x).numpy(), rtol=1e-5, atol=1e-6
    )
    assert main(["export", str(trained / run), "--onnx", "m.onnx", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"file", "input", "classes", "preprocessing"}


def test_wrong_files_for_a_run(tmp_path, trained, capsys):
    run = str(trained / "classes")
    rows = people(10)
    write(tmp_path / "fewer.csv", [row[:2] for row in rows])
    fails(capsys, "predict", run, "fewer.csv", status=1, match="fewer.csv has no column 'age'")
    fails(
        capsys, "predict", run, "a.csv", "b.csv", status=2, match="give one CSV file: this run was trained on a table"
    )
    fails(capsys, "predict", run, "nowhere.csv", status=1, match="nowhere.csv: No such file")
    rows[2][2] = "old"
    write(tmp_path / "text.csv", rows)
    fails(capsys, "predict", run, "text.csv", status=1, match="line 3, column 'age': 'old' is not a number")
    rows = people(10)
    rows[4][-1] = "maybe"
    write(tmp_path / "label.csv", rows)
    fails(capsys, "evaluate", run, "--data", "label.csv", status=1, match="'maybe' is not a class of the training rows")
    assert not (tmp_path / "predictions.csv").exists()


def test_damaged_runs(tmp_path, trained, capsys):
    config = json.loads((trained / "classes/config.json").read_text())
    shutil.copytree(trained / "classes", tmp_path / "run")
    for change in (
        {"table": {}},
        {"table": {"preprocessing": {}}},
        {"task": "ranking"},
        {"model": "lenet"},
        {"table": 3},
    ):
        (tmp_path / "run/config.json").write_text(json.dumps(config | change))
        fails(capsys, "predict", "run", "x.csv", status=1, match="was damaged or edited")


def test_data_is_for_tables(tmp_path, capsys):
    pytest.importorskip("sklearn", reason="trains on scikit-learn's digits")
    assert main(["train", "digits", "--epochs", "1", "--out", "run", *QUICK]) == 0
    fails(capsys, "evaluate", "run", "--data", "x.csv", status=2, match="--data is for runs on tables; this run was")


@pytest.mark.parametrize(("file", "target", "name", "least"), [
    ("titanic", "Survived", "test_accuracy", 0.75),
    ("iris", "column5", "test_accuracy", 0.85),
    ("pima-indians-diabetes", "column9", "test_accuracy", 0.65),
    ("winequality-red", "column12", "test_accuracy", 0.5),
])  # fmt: skip
def test_real_tables(data_dir, file, target, name, least, capsys):
    path = data_dir / f"tabular/{file}.csv"
    if not path.exists():
        pytest.skip("XPNET_DATA has no tabular/")
    assert main(["train", str(path), "--target", target, "--backend", "numpy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[name] > least
