"""Digit CSVs: Kaggle's format in, a submission out."""

import gzip

import numpy as np
import pytest

from xpnet.data import DataError, load_digits, read_digit_csv, write_submission
from xpnet.data.images.digit_csv import holds_digits, is_csv

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


# -- other people's files --------------------------------------------------------------------------------------------

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 64))
PIXELS[:, 0] = 0
LABELS = np.arange(12) % 10
AT = [f"{r}x{c}" for r in range(1, 9) for c in range(1, 9)]


def table(path, header, *columns, fmt="%d", delimiter=",", end=""):
    rows = np.column_stack(columns)
    lines = [delimiter.join(fmt % cell for cell in row) + end for row in rows]
    path.write_text("\n".join([*([delimiter.join(header) + end] if header else []), *lines]) + "\n")
    return path


@pytest.mark.parametrize(("header", "order"), [
    (["label", *(f"pixel{i}" for i in range(64))], "first"),
    (["label", *(f"pixel{i}" for i in range(1, 65))], "first"),
    (["Label", *(f"Pixel_{i}" for i in range(1, 65))], "first"),
    (["label", *AT], "first"),
    (["label", *(f"{r}_{c}" for r in range(8) for c in range(8))], "first"),
    ([*(f"pixel{i}" for i in range(1, 65)), "class"], "last"),
    ([*(f"pixel{i:04}" for i in range(64)), "label"], "last"),
    (["digit", *(str(i) for i in range(64))], "first"),
    (["what is it", *(f"px{i}" for i in range(64))], "first"),
    ([*(f"att{i}" for i in range(64)), "class"], "last"),
    (["label", *(f"dim_{i}" for i in range(1, 65))], "first"),
    (["label", *(f"x{x}y{y}" for y in range(8) for x in range(8))], "first"),
    ([str(i) for i in range(65)], "first"),
    (["", *(str(i) for i in range(65))], "index"),
    (["", "label", *(f"pixel{i}" for i in range(64))], "index"),
    (["Id", "label", *(f"pixel{i}" for i in range(64))], "index"),
    (['"label"', *(f'"pixel{i}"' for i in range(64))], "first"),
    (None, "first"),
    (None, "last"),
])  # fmt: skip
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_any_names_of_label_and_pixels(tmp_path, header, order, delimiter):
    columns = {"first": (LABELS, PIXELS), "last": (PIXELS, LABELS), "index": (np.arange(12), LABELS, PIXELS)}[order]
    path = table(tmp_path / "a.csv", header, *columns, delimiter=delimiter)
    data = read_digit_csv(path)
    np.testing.assert_array_equal(data.inputs, PIXELS.reshape(-1, 8, 8))
    assert data.targets.tolist() == LABELS.tolist()
    assert data.classes == tuple("0123456789")
    assert holds_digits(path)


@pytest.mark.parametrize(("header", "columns"), [
    ([f"pixel{i}" for i in range(64)], (PIXELS,)), (["id", *AT], (np.arange(12), PIXELS)), (None, (PIXELS,)),
])  # fmt: skip
def test_files_without_labels(tmp_path, header, columns):
    data = read_digit_csv(table(tmp_path / "test.csv", header, *columns))
    assert data.targets is None
    np.testing.assert_array_equal(data.inputs, PIXELS.reshape(-1, 8, 8))


def test_brightness_of_other_ranges(tmp_path):
    header = ["label", *AT]
    shares = read_digit_csv(table(tmp_path / "a.csv", header, LABELS, PIXELS / 255, fmt="%.6f"))
    np.testing.assert_array_equal(shares.inputs, PIXELS.reshape(-1, 8, 8))
    assert shares.notes == ("pixels in 0..1 are taken as 0..255",)
    inked = read_digit_csv(table(tmp_path / "a.csv", header, LABELS, PIXELS > 99))
    np.testing.assert_array_equal(inked.inputs, 255 * (PIXELS > 99).reshape(-1, 8, 8))
    sixteen = read_digit_csv(table(tmp_path / "a.csv", None, PIXELS // 16 + (PIXELS > 240), LABELS))  # UCI's optdigits
    assert sixteen.inputs.max() == 255
    assert sixteen.notes == ("pixels in 0..16 are taken as 0..255",)
    assert read_digit_csv(table(tmp_path / "a.csv", header, LABELS, PIXELS)).notes == ()
    with pytest.raises(DataError, match=r"line 2, column 2: pixel 0\.5 is not a whole number in 0\.\.255"):
        read_digit_csv(table(tmp_path / "a.csv", header, LABELS, PIXELS + 0.5, fmt="%.1f"))


def test_what_a_spreadsheet_leaves(tmp_path):
    path = table(tmp_path / "a.csv", ["label", *AT], LABELS, PIXELS, end=",,")
    path.write_text(path.read_text() + "," * 66 + "\n" + "," * 66 + "\n\n")
    assert read_digit_csv(path).targets.tolist() == LABELS.tolist()


def test_more_classes_than_digits(tmp_path):
    letters = np.arange(12) * 2
    data = read_digit_csv(table(tmp_path / "sign.csv", ["label", *AT], letters, PIXELS))
    assert data.targets.tolist() == letters.tolist()
    assert data.classes == tuple(map(str, range(23)))


def test_fashion_is_known(tmp_path):
    header = ["label", *(f"pixel{i}" for i in range(1, 65))]
    data = read_digit_csv(table(tmp_path / "fashion-mnist_train.csv", header, LABELS, PIXELS))
    assert data.classes[7] == "Sneaker"
    assert "holds Fashion-MNIST" in data.notes[0]


def test_fashion_is_known_by_its_numbers():
    from xpnet.data.images.mnist_family import looks_like_fashion

    labels = np.repeat(np.arange(10), 1000)
    images = np.zeros((10_000, 28, 28), np.uint8)
    images[:, :14] = 9
    assert looks_like_fashion(images, labels)
    assert not looks_like_fashion(images, np.r_[labels[:-1], 0])  # MNIST's classes differ in size
    assert not looks_like_fashion(images // 10, labels)  # KMNIST's are even too, with less ink
    assert not looks_like_fashion(images[:100], labels[:100])


@pytest.mark.parametrize(("header", "match"), [
    ([f"pixel{i}" for i in range(192)], "192 pixels are 8x8 in three colours: only grey images are read"),
    (["label", *(f"pixel{i}" for i in range(1, 64))], r"line 1 lacks the column 'pixel64' \(1 missing in all\)"),
    (["label", *AT[:-1]], "line 1 names 63 pixels, 1x1 to 8x7: no square image has so many"),
    (["label", *(f"{r}x{c}" for c in range(1, 9) for r in range(1, 9))], "must be 1x1 to 8x8, row by row"),
    ([*AT[:10], "label", *AT[10:]], "the column 'label' among the pixels: put it before or after them"),
    (["label", "hue", *AT], "line 1 must name the columns"),
])  # fmt: skip
def test_headers_that_are_wrong(tmp_path, header, match):
    with pytest.raises(DataError, match=match):
        read_digit_csv(table(tmp_path / "a.csv", header, np.zeros((2, len(header)))))


def test_what_holds_digits(tmp_path):
    for rows in (["5.1,3.5,1.4,0.2,setosa"], ["6,148,72,35,0,33.6,0.6,50,1"], ["a,b", "1,2"], ["1,2,3,4,5"]):
        assert not holds_digits(write(tmp_path / "a.csv", *rows * 3))
    assert holds_digits(write(tmp_path / "a.csv", HEADER.upper(), "1,2,3,4,5"))
    assert [is_csv(name) for name in ("a.csv", "A.CSV", "a.csv.gz", "a.tsv", "a.txt", "a.png", "csv")] == [True] * 5 + [
        False
    ] * 2


def test_a_submission_names_classes_that_have_names(tmp_path):
    write_submission(tmp_path / "s.csv", np.array([1, 0]), ["T-shirt/top", "Trouser, long"])
    assert (tmp_path / "s.csv").read_text() == 'ImageId,Label,Class\n1,1,"Trouser, long"\n2,0,T-shirt/top\n'
    write_submission(tmp_path / "s.csv", np.array([1, 0]), ["0", "1"])
    assert (tmp_path / "s.csv").read_text() == "ImageId,Label\n1,1\n2,0\n"


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
