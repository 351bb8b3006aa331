"""Digit CSVs: Kaggle's format in, a submission out."""

import gzip

import numpy as np
import pytest

from xpnet.data import DataError, load_digits, read_digit_csv, write_submission

HEADER = "label," + ",".join(f"pixel{i}" for i in range(4))


def write(path, *lines, end="\n"):
    path.write_bytes(end.join(lines).encode())
    return path


def test_labelled_and_not(tmp_path):
    data = read_digit_csv(write(tmp_path / "a.csv", HEADER, "3,0,1,2,255", "9,5,6,7,8", ""))
    assert data.inputs.dtype == np.uint8
    assert data.inputs.tolist() == [[[0, 1], [2, 255]], [[5, 6], [7, 8]]]
    assert data.targets.tolist() == [3, 9]
    assert data.targets.dtype == np.int64
    bare = read_digit_csv(write(tmp_path / "b.csv", HEADER.removeprefix("label,"), "0,1,2,255"))
    assert bare.targets is None
    assert len(bare) == 1


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_byte_order_mark_and_gzip(tmp_path, end, last):
    text = "\ufeff" + end.join([HEADER, "3,0,1,2,255"]) + (end if last else "")
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    assert read_digit_csv(path).targets.tolist() == [3]


@pytest.mark.parametrize(("lines", "match"), [
    (["label,pixel0,pixel1,pixel3", "1,2,3,4"], "line 1 lacks the column 'pixel2'"),
    (["label,pixel0,pixel2,pixel1,pixel3", "1,2,3,4,5"], "must be pixel0 to pixel3, in this order"),
    (["a,b,c", "1,2,3"], "line 1 must name the columns"),
    ([HEADER, "1,2,3,4,5", "1,2,x,4,5"], "line 3, column 3: 'x' is not a number"),
    ([HEADER, "1,2,3,4,5", "1,2,,4,5"], "line 3, column 3: '' is not a number"),
    ([HEADER, "1,2,3,4"], "line 2 has 4 values, the header has 5"),
    ([HEADER, "1,2,3,4,5", "", "1,2,3,4,5"], "line 3 has 1 values"),
    ([HEADER, "1,2,3,4,5,6"], "line 2 has 6 values"),
    ([HEADER, "1,2,3,4,256"], "line 2, column 5: pixel 256 is not a whole number in 0..255"),
    ([HEADER, "1,2,3,4,-1"], "line 2, column 5: pixel -1"),
    ([HEADER, "1,2,3,4,1.5"], "pixel 1.5 is not a whole number"),
    ([HEADER, "1,2,3,4,nan"], "pixel nan is not a whole number"),
    ([HEADER, "10,2,3,4,5"], "line 2, column 1: label 10 is not a whole number in 0..9"),
    ([HEADER, "1.5,2,3,4,5"], "label 1.5 is not a whole number"),
    ([HEADER], "has a header and no rows"),
    ([""], "is empty"),
    (["<!DOCTYPE html>"], "is a web page"),
])  # fmt: skip
def test_what_is_wrong_and_where(tmp_path, lines, match):
    with pytest.raises(DataError, match=match) as caught:
        read_digit_csv(write(tmp_path / "digits.csv", *lines))
    assert "digits.csv" in str(caught.value)


def test_files_that_are_no_text(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xff\xfe\x00label")
    with pytest.raises(DataError, match="is not text in UTF-8"):
        read_digit_csv(path)
    path.write_bytes(gzip.compress(HEADER.encode())[:-4])
    with pytest.raises(DataError, match="damaged gzip"):
        read_digit_csv(path)


def test_submission(tmp_path):
    write_submission(tmp_path / "s.csv", np.array([7, 0, 3]))
    assert (tmp_path / "s.csv").read_text() == "ImageId,Label\n1,7\n2,0\n3,3\n"


def test_mutations_give_an_error_or_a_dataset(tmp_path):
    rng = np.random.default_rng(0)
    content = "\n".join([HEADER, "1,2,3,4,5", "9,255,3,0,5"]).encode()
    path = tmp_path / "a.csv"
    for _ in range(400):
        changed = bytearray(content)
        for place in rng.integers(0, len(changed), rng.integers(1, 4)):
            changed[place] = rng.choice(list(b'0123456789,.-\n\r"eE#x \x00\xff'))
        path.write_bytes(bytes(changed[: rng.integers(1, len(changed) + 1)]))
        try:
            data = read_digit_csv(path)
        except DataError:
            continue
        assert data.inputs.shape[1:] == (2, 2) or data.inputs.shape[1:] == (1, 1)


def test_embedded_digits():
    pytest.importorskip("sklearn", reason="the digits come from scikit-learn")
    train, test = load_digits()
    assert (len(train), len(test)) == (1438, 359)
    assert train.inputs.shape[1:] == (8, 8)
    assert train.inputs.max() == 255
    assert train.classes == tuple("0123456789")
    again = load_digits()[1]
    np.testing.assert_array_equal(test.inputs, again.inputs)


def test_kaggle_files(data_dir):
    folder = data_dir / "kaggle-digits"
    if not folder.is_dir():
        pytest.skip("XPNET_DATA has no kaggle-digits/")
    assert read_digit_csv(folder / "train.csv.gz").inputs.shape == (5000, 28, 28)
    test = read_digit_csv(folder / "test.csv.gz")
    assert test.inputs.shape == (1000, 28, 28)
    assert test.targets is None
