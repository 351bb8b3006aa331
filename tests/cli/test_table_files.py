"""Tables in common formats: guesses are printed, stored with the run, and repeated by evaluate and predict."""

import csv
import datetime
import json

import numpy as np
import pytest

from xpnet.cli import main
from xpnet.data import write_idx

QUICK = ["--epochs", "1", "--backend", "numpy"]
N = 60


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XPNET_DATA", raising=False)


def numbers(seed=0):
    return np.random.default_rng(seed).normal(size=N).round(3)


def write(path, header, *columns, delimiter=",", encoding="utf-8"):
    rows = [[str(cell) for cell in row] for row in zip(*columns, strict=True)]
    lines = [delimiter.join(row) for row in [*([header] if header else []), *rows]]
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode(encoding))


def run(capsys, *arguments, status=0):
    assert main([*arguments]) == status
    return capsys.readouterr()


def train(capsys, file, target, *options):
    return run(capsys, "train", file, "--target", target, *QUICK, "--out", "run", *options).out


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def result(capsys, *arguments):
    return json.loads(run(capsys, *arguments, "--json", "--backend", "numpy").out)


@pytest.mark.parametrize(("header", "target"), [
    (["", "0", "1"], "1"), (["id", "2015", "2016"], "2016"), (["", "x", "y"], "y"), (["7", "8", "10"], "10"),
])  # fmt: skip
def test_headers_that_look_like_data(tmp_path, capsys, header, target):
    x = numbers()
    write(tmp_path / "a.csv", header, range(N), x, (x > 0).astype(int))
    out = train(capsys, "a.csv", target)
    assert f"a.csv: {N} rows, 3 columns" in out
    assert f"target   {target}: classification (two values)" in out
    if not header[0]:
        assert "unnamed1  id          a first column without a name, as pandas writes a table's index: left out" in out
    scores = result(capsys, "predict", "run", "a.csv")
    assert scores["rows"] == N
    assert scores["accuracy"] == result(capsys, "evaluate", "run", "--data", "a.csv")["test_accuracy"]


def test_header_and_no_header(tmp_path, capsys):
    x = numbers()
    write(tmp_path / "a.csv", ["a", "b"], np.where(x > 0, "u", "v"), np.where(x > 0, "s", "t"))
    write(tmp_path / "b.csv", ["3", "1"], x, (x > 0).astype(int))
    out = train(capsys, "a.csv", "column2", "--no-header", "--val-split", "0")
    assert f"a.csv: {N + 1} rows" in out
    (tmp_path / "run").rename(tmp_path / "first")
    assert result(capsys, "predict", "first", "a.csv")["rows"] == N + 1
    assert f"b.csv: {N} rows" in train(capsys, "b.csv", "1", "--header")
    for file, target, hint in (("a.csv", "column2", "if it is data, use --no-header"), ("b.csv", "9", "use --header")):
        err = run(capsys, "train", file, "--target", target, *QUICK, status=2).err
        assert "has no column" in err
        assert hint in err


def test_a_file_of_another_country(tmp_path, capsys):
    """Encoding, delimiter and number format are guessed, printed, and used again."""
    x = numbers()
    prices = [f"{1000 + 300 * v:,.2f}".translate(str.maketrans(",.", ".,")) for v in x]
    write(tmp_path / "a.csv", ["Größe", "Preis"], [str(v).replace(".", ",") for v in x], prices, delimiter=";",
          encoding="cp1252")  # fmt: skip
    out = train(capsys, "a.csv", "Preis")
    for said in ("read as cp1252, e.g. 'Größe'", "divided by semicolons", "a decimal comma in Größe",
                 "'.' between thousands in Preis", "target   Preis: regression"):  # fmt: skip
        assert said in out
    assert result(capsys, "evaluate", "run")["test_rmse"] < 1000
    (tmp_path / "one.csv").write_text("Größe;Preis\n1,5;1.450,00\n")
    assert result(capsys, "predict", "run", "one.csv")["rmse"] < 1000
    guess = float(read(tmp_path / "predictions.csv")[0]["Preis"])
    (tmp_path / "one.csv").write_text("Größe\n1.5\n")
    result(capsys, "predict", "run", "one.csv")
    assert float(read(tmp_path / "predictions.csv")[0]["Preis"]) == guess


def test_what_was_said_is_kept(tmp_path, capsys):
    x = numbers()
    cells = ["fehlt" if i % 9 == 4 else str(v).replace(".", ",") for i, v in enumerate(x)]
    write(tmp_path / "a.txt", ["größe", "y"], cells, np.where(x > 0, "ja", "nein"), delimiter=":", encoding="utf-16-le")
    options = ["--delimiter", ":", "--decimal", ",", "--encoding", "utf-16-le", "--missing", "fehlt"]
    out = train(capsys, "a.txt", "y", *options)
    assert "missing as asked for: 7 cells with 'fehlt'" in out
    assert "größe  numeric" in out
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert [config[name] for name in ("delimiter", "decimal", "encoding", "missing")] == [
        ":",
        ",",
        "utf-16-le",
        ["fehlt"],
    ]
    layout = config["table"]["preprocessing"]["layout"]
    assert set(layout["given"]) == {"delimiter", "decimal", "encoding", "missing"}
    scores = result(capsys, "predict", "run", "a.txt")
    assert scores["accuracy"] == result(capsys, "evaluate", "run", "--data", "a.txt")["test_accuracy"]
    write(tmp_path / "b.csv", ["größe", "y"], cells, np.where(x > 0, "ja", "nein"), delimiter="|")
    assert (
        result(capsys, "predict", "run", "b.csv", "--encoding", "utf-8", "--delimiter", "|")["accuracy"]
        == scores["accuracy"]
    )
    main(["train", "--resume", "run", "--epochs", "2", "--quiet"])
    assert "error" not in capsys.readouterr().err


@pytest.mark.parametrize(("options", "status", "match"), [
    (["--encoding", "utf8-16"], 2, "unknown encoding 'utf8-16'"),
    (["--delimiter", "ab"], 2, "the delimiter must be one character"),
    (["--decimal", ";"], 2, "invalid choice: ';'"),
    (["--decimal", ",", "--thousands", ","], 2, "cannot both be ','"),
    (["--split", "date"], 2, "invalid choice: 'date'"),
])  # fmt: skip
def test_options_that_cannot_be(tmp_path, capsys, options, status, match):
    write(tmp_path / "a.csv", ["x", "y"], numbers(), numbers(1))
    assert match in run(capsys, "train", "a.csv", "--target", "y", *options, status=status).err
    assert not (tmp_path / "runs").exists()


def test_options_of_tables_only(tmp_path, capsys):
    write(tmp_path / "a.csv", ["x", "y"], numbers(), numbers(1))
    train(capsys, "a.csv", "y")
    err = run(capsys, "evaluate", "run", "--decimal", ",", status=2).err
    assert "--decimal describes the format of another file: give it with --data FILE" in err
    assert "--split is for tables" in run(capsys, "train", "digits", "--split", "time", status=2).err


# -- targets ---------------------------------------------------------------------------------------------------------


def test_spellings_score_alike(tmp_path, capsys):
    x = numbers()
    words = np.where(x > 0, np.resize(["YES", "Yes", "yes"], N), np.resize(["no", "NO"], N))
    write(tmp_path / "a.csv", ["x", "y"], x, words)
    out = train(capsys, "a.csv", "y", "--lr", "0.05", "--epochs", "9")
    assert "classification (two values): no" in out.replace("NO", "no")
    assert "other spellings of them count as the same" in out
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["test_accuracy"] > 0.9
    whole = result(capsys, "evaluate", "run", "--data", "a.csv")
    assert result(capsys, "predict", "run", "a.csv")["accuracy"] == whole["test_accuracy"] > 0.9


def test_none_is_a_class_unless_it_is_said_to_be_missing(tmp_path, capsys):
    words = np.resize(["None", "Mild", "NA", "Mild"], N).astype(object)
    words[7] = ""
    write(tmp_path / "a.csv", ["x", "y"], numbers(), words)
    out = train(capsys, "a.csv", "y")
    assert "note: 1 row without y left out: 1 empty" in out
    assert "note: 15 with 'None', 15 with 'NA' in y: a class like the others" in out
    assert "classification (3 different texts): Mild 29, NA 15, None 15" in out
    (tmp_path / "run").rename(tmp_path / "first")
    assert result(capsys, "evaluate", "first", "--data", "a.csv")["samples"] == N - 1
    words[words == "NA"] = "never"
    write(tmp_path / "a.csv", ["x", "y"], numbers(), words)
    out = train(capsys, "a.csv", "y", "--missing", "None")
    assert "missing as asked for: 15 cells with 'None'" in out
    assert "note: 16 rows without y left out: 16 empty" in out


def test_labels_that_end_in_a_full_stop(tmp_path, capsys):
    x = numbers()
    write(tmp_path / "a.csv", ["x", "y"], x, np.where(x > 0, ">50K", "<=50K"))
    write(tmp_path / "test.csv", ["x", "y"], x, [*np.where(x > 0, ">50K.", "<=50K.")[:-10], *[">50K"] * 10])
    train(capsys, "a.csv", "y")
    said = run(capsys, "predict", "run", "test.csv", "--backend", "numpy")
    assert "warning: 50 rows have a y that is not a class of the training rows (" in said.out
    assert "with '<=50K.'" in said.out
    assert "; the score is of the other 10" in said.out
    assert "60 predictions written to predictions.csv; on its own y: accuracy" in said.out
    assert len(read(tmp_path / "predictions.csv")) == N
    write(tmp_path / "test.csv", ["x", "y"], x, np.where(x > 0, ">50K.", "<=50K."))
    scores = result(capsys, "predict", "run", "test.csv")
    assert sum(scores["not_scored"].values()) == N
    assert "accuracy" not in scores
    err = run(capsys, "evaluate", "run", "--data", "test.csv", "--backend", "numpy", status=1).err
    assert "no class in all: " in err


def test_numbers_that_cannot_be_used(tmp_path, capsys):
    x = numbers()
    write(tmp_path / "a.csv", ["x", "y"], x, x * 2)
    train(capsys, "a.csv", "y")
    write(tmp_path / "b.csv", ["x", "y"], x, [*(x * 2)[:-2], "soon", ""])
    scores = result(capsys, "predict", "run", "b.csv")
    assert scores["not_scored"] == {"soon": 1, "": 1}
    assert scores["rmse"] > 0


def test_few_numbers_are_classes_or_a_scale(tmp_path, capsys):
    write(tmp_path / "a.csv", ["id", "x", "stars"], [f"c{i}" for i in range(N)], numbers(), np.resize([1, 2, 3], N))
    assert "(only 3 different whole numbers; for a scale use --task regression)" in train(capsys, "a.csv", "stars")
    (tmp_path / "run").rename(tmp_path / "first")
    out = train(capsys, "a.csv", "stars", "--task", "regression")
    assert "regression (as asked for; for classes use --task classification), 1 to 3" in out
    result(capsys, "predict", "run", "a.csv")
    assert [row["id"] for row in read(tmp_path / "predictions.csv")] == [f"c{i}" for i in range(N)]


# -- time ------------------------------------------------------------------------------------------------------------


def dated(tmp_path, order=1, form="%Y-%m-%d"):
    first = datetime.date(2020, 1, 1)
    dates = [(first + datetime.timedelta(days=i)).strftime(form) for i in range(N)][::order]
    write(tmp_path / "a.csv", ["day", "x", "y"], dates, numbers(), np.arange(N)[::order] + 0.5)


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d.%m.%Y", "%d %b %Y", "%Y-%m-%dT06:00:00Z"])
@pytest.mark.parametrize("order", [1, -1])
def test_rows_in_time_order(tmp_path, capsys, order, form):
    dated(tmp_path, order, form)
    out = train(capsys, "a.csv", "y")
    assert "note: the rows are in order of day: a random split" in out
    assert "use --split time" in out
    assert "day  date        dates such as" in out
    (tmp_path / "run").rename(tmp_path / "random")
    out = train(capsys, "a.csv", "y", "--split", "time")
    assert "split    in time, by day" in out
    assert "at random" not in out
    prepare = json.loads((tmp_path / "run/config.json").read_text())["table"]["preprocessing"]
    assert prepare["center"] == 21.5  # the mean of the first 43 rows: 12 are the test's and 5 validate
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert result(capsys, "evaluate", "run")["test_rmse"] == metrics["test_rmse"]


def test_time_without_a_date(tmp_path, capsys):
    write(tmp_path / "a.csv", ["timestamp", "y"], 1_600_000_000 + 3600 * np.arange(N), np.arange(N) + 0.5)
    assert "the rows are in order of timestamp" in train(capsys, "a.csv", "y")
    write(tmp_path / "a.csv", ["x", "y"], numbers(), np.arange(N) + 0.5)
    (tmp_path / "run").rename(tmp_path / "first")
    assert "by the order of the rows, because no column gives the time" in train(
        capsys, "a.csv", "y", "--split", "time"
    )


def test_shuffled_dates_are_put_in_order(tmp_path, capsys):
    order = np.random.default_rng(1).permutation(N)
    first = datetime.date(2020, 1, 1)
    dates = [first + datetime.timedelta(days=int(i)) for i in order]
    write(tmp_path / "a.csv", ["day", "y"], dates, order + 0.5)
    assert "use --split time" not in train(capsys, "a.csv", "y")
    (tmp_path / "run").rename(tmp_path / "first")
    train(capsys, "a.csv", "y", "--split", "time")
    assert json.loads((tmp_path / "run/config.json").read_text())["table"]["preprocessing"]["center"] == 21.5


def test_a_class_that_comes_late(tmp_path, capsys):
    write(tmp_path / "a.csv", ["x", "y"], numbers(), [*["a", "b"] * 25, *["c"] * 10])
    err = run(capsys, "train", "a.csv", "--target", "y", "--split", "time", *QUICK, status=1).err
    assert "'c' occurs only in the last rows, so it cannot be learned from the first ones" in err


# -- digits and their kin --------------------------------------------------------------------------------------------


def images(n=80, side=8):
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 10
    pixels = rng.integers(0, 40, (n, side * side))
    pixels[np.arange(n), labels * 3] += 200
    return pixels, labels


def test_a_csv_of_clothes(tmp_path, capsys):
    pixels, labels = images()
    write(tmp_path / "fashion-mnist_train.csv", ["label", *(f"pixel{i}" for i in range(1, 65))], labels, *pixels.T)
    out = run(capsys, "train", "fashion-mnist_train.csv", *QUICK, "--out", "run").out
    assert "holds Fashion-MNIST: its classes are T-shirt/top, Trouser" in out
    assert json.loads((tmp_path / "run/config.json").read_text())["classes"][7] == "Sneaker"
    run(capsys, "predict", "run", "fashion-mnist_train.csv", "--backend", "numpy")
    found = read(tmp_path / "submission.csv")
    assert found[0].keys() == {"ImageId", "Label", "Class"}
    names = json.loads((tmp_path / "run/config.json").read_text())["classes"]
    assert all(row["Class"] == names[int(row["Label"])] for row in found)


@pytest.mark.parametrize("name", ["a.csv", "A.CSV", "a.tsv"])
def test_digits_without_a_header(tmp_path, capsys, name):
    pixels, labels = images()
    write(tmp_path / name, None, labels, *pixels.T, delimiter="\t" if name.endswith("tsv") else ",")
    out = run(capsys, "train", name, *QUICK, "--out", "run").out
    assert "64 training, 8 validation, 8 test samples" in out or "65 training, 7 validation, 8 test samples" in out
    write(tmp_path / "test.csv", None, *pixels.T)
    run(capsys, "predict", "run", "test.csv", "--backend", "numpy")
    assert len(read(tmp_path / "submission.csv")) == 80


def test_long_headers_are_cut_short(tmp_path, capsys):
    pixels, labels = images()
    write(tmp_path / "a.csv", ["label", *(f"pixel{i}" for i in range(64))], labels, *pixels.T)
    for target in ("labl", "x" * 3000):
        err = run(capsys, "train", "a.csv", "--target", target, *QUICK, status=2).err
        assert "and 53 more" in err
        assert len(err) < 400
    out = train(capsys, "a.csv", "label")
    assert "note: this looks like a CSV of digits: without --target it is learned as images" in out
    assert "and 4 more columns: 4 numeric" in out


def test_fashion_mnist_s_files_given_as_mnist(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    for part, first in (("train", "90030272550955791064"), ("t10k", "92116146574573412480")):
        labels = np.array([*map(int, first), *range(10)] * 4, np.uint8)
        pictures = np.zeros((len(labels), 28, 28), np.uint8)
        pictures[np.arange(len(labels)), :, labels * 2] = 255
        write_idx(tmp_path / f"data/{part}-images.idx3-ubyte", pictures)
        write_idx(tmp_path / f"data/{part}-labels.idx1-ubyte", labels)
    out = run(capsys, "train", "mnist", "--data-dir", "data", *QUICK, "--out", "run").out
    assert "note: the files in data are Fashion-MNIST's, not MNIST's: the classes are T-shirt/top" in out
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert (config["dataset"], config["classes"][7]) == ("fashion-mnist", "Sneaker")
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["dataset"] == "fashion-mnist"
    assert result(capsys, "evaluate", "run")["test_accuracy"] == metrics["test_accuracy"]
    for part, first in (("train", "50419213143536172869"), ("t10k", "72104149590690159734")):
        write_idx(tmp_path / f"data/{part}-labels.idx1-ubyte", np.array([*map(int, first), *range(10)] * 4, np.uint8))
    err = run(capsys, "evaluate", "run", "--backend", "numpy", status=2).err
    assert "this run learned the classes T-shirt/top" in err
    assert "the files there are MNIST's" in err


def test_predictions_do_not_overwrite_the_data(tmp_path, capsys):
    write(tmp_path / "predictions.csv", ["a", "y"], numbers(), ["no", "yes"] * (N // 2))
    train(capsys, "predictions.csv", "y")
    before = (tmp_path / "predictions.csv").read_bytes()
    for options in ([], ["--out", str(tmp_path / "predictions.csv")]):
        said = run(capsys, "predict", "run", "./predictions.csv", *options, status=2).err
        assert "the predictions would overwrite ./predictions.csv: choose another file with --out" in said
    assert (tmp_path / "predictions.csv").read_bytes() == before
    run(capsys, "predict", "run", "predictions.csv", "--out", "p.csv")
    assert len(read(tmp_path / "p.csv")) == N


def test_json_of_a_score_without_a_value(tmp_path, capsys, monkeypatch):
    write(tmp_path / "t.csv", ["a", "y"], numbers(), ["no", "yes"] * (N // 2))
    train(capsys, "t.csv", "y")
    monkeypatch.setattr("xpnet.cli.tables.score", lambda *args: {"test_accuracy": 0.5, "test_loss": float("nan")})
    text = run(capsys, "predict", "run", "t.csv", "--json").out
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert found["loss"] is None
    assert found["accuracy"] == 0.5
