"""What comes with the library to learn from: numbers, tables, sentences; and readers of the same."""

import numpy as np
import pytest

from xpnet import data


def test_airline_passengers():
    values = data.load_airline_passengers()
    assert values.shape == (144,)
    assert (values[0], values[-1], values.sum()) == (112.0, 432.0, 40363.0)


def test_airline_passengers_are_those_of_the_file(data_dir):
    path = data_dir / "timeseries/airline-passengers.csv"
    assert data.read_series(path).tolist() == data.load_airline_passengers().tolist()


def test_read_series(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text('"Month","a","b"\r\n"1",1,2.5\r\n"2",3,4')
    assert data.read_series(path).tolist() == [2.5, 4.0]
    assert data.read_series(path, "a").tolist() == [1.0, 3.0]
    with pytest.raises(data.DataError, match="has no column 'c'"):
        data.read_series(path, "c")
    path.write_text("Month,a\nx,1\ny,\n")
    with pytest.raises(data.DataError, match=r"line 3, column 'a': a value is missing"):
        data.read_series(path)


def test_interval_widths_use_only_errors_that_were_known():
    past = data.WalkForward(np.arange(10, 20), np.zeros((10, 2)), np.arange(1.0, 21.0).reshape(10, 2))
    assert data.interval_widths(past, 0.8).tolist() == [17.0, 18.0]  # the 9th of 10
    # at 15 the errors one step ahead of origins 10..14 are known, two steps ahead of 10..13
    assert data.interval_widths(past, 0.8, origin=15).tolist() == [9.0, 8.0]
    assert np.isnan(data.interval_widths(past, 0.8, origin=13)).all()
    assert np.isnan(data.interval_widths(past, 0.95)).all()


def test_interval_widths_cover_what_they_promise():
    errors = np.random.default_rng(0).normal(size=(2000, 1))
    width = data.interval_widths(data.WalkForward(np.arange(1000), np.zeros((1000, 1)), errors[:1000]), 0.9)
    assert 0.87 < (np.abs(errors[1000:]) <= width).mean() < 0.93


def test_interval_widths_of_wrong_arguments():
    past = data.WalkForward(np.arange(2), np.zeros((2, 1)), np.ones((2, 1)))
    for level in (0.0, 1.0):
        with pytest.raises(ValueError, match="level must lie between 0 and 1"):
            data.interval_widths(past, level)
    with pytest.raises(ValueError, match="for one series"):
        data.interval_widths(data.WalkForward(np.arange(2), np.zeros((2, 1, 3)), np.ones((2, 1, 3))))


def test_embedded_tables():
    pytest.importorskip("sklearn")
    for name, rows, columns, classes in (("wine", 178, 14, 3), ("breast-cancer", 569, 31, 2), ("iris", 150, 5, 3)):
        table = data.embedded_table(name)
        assert (len(table), len(table.names), len(set(table[table.names[-1]]))) == (rows, columns, classes)
        assert data.TablePreprocessor(table.names[-1]).fit(table).task == "classification"
    with pytest.raises(ValueError, match=r"name must be one of .* got 'wines'; did you mean 'wine'"):
        data.embedded_table("wines")


def test_opinions_are_balanced_repeatable_and_said_in_words():
    texts, labels = data.write_opinions(200, seed=1)
    assert labels.sum() == 100
    assert (texts, labels.tolist()) == (
        data.write_opinions(200, seed=1)[0],
        data.write_opinions(200, seed=1)[1].tolist(),
    )
    assert texts != data.write_opinions(200, seed=2)[0]
    assert all(text.endswith(" .") for text in texts)
    assert 20 < sum(" but " in text for text in texts) < 100
    with pytest.raises(ValueError, match="at least 2 sentences"):
        data.write_opinions(1)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_sentence_polarity(tmp_path, encoding):
    (tmp_path / "rt-polarity.neg").write_bytes("dull .\n\ncliché \n".encode(encoding))
    (tmp_path / "rt-polarity.pos").write_bytes("fine .".encode(encoding))
    texts, labels = data.read_sentence_polarity(tmp_path)
    assert texts == ["dull .", "cliché", "fine ."]
    assert labels.tolist() == [0, 0, 1]
    (tmp_path / "rt-polarity.pos").write_bytes(b"\n")
    with pytest.raises(data.DataError, match=r"rt-polarity\.pos has no sentences"):
        data.read_sentence_polarity(tmp_path)
    with pytest.raises(FileNotFoundError):
        data.read_sentence_polarity(tmp_path / "none")
