"""How files are written: headers that look like data, delimiters, encodings, numbers, and what spreadsheets leave."""

import numpy as np
import pytest

from xpnet.data import DataError, TablePreprocessor, read_table
from xpnet.data.tables import guess_column


def write(folder, text, name="a.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# -- headers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "names"), [
    (",0,1\n0,5.1,3\n1,4.9,2\n2,4.7,9\n", ["unnamed1", "0", "1"]),  # pandas' index and default names
    (",0,1\n0,5.1,3\n1,4.9,2\n0,4.7,9\n", ["unnamed1", "0", "1"]),  # ... of joined tables
    (",0\n0,5.1\n1,4.9\n", ["unnamed1", "0"]),  # a Series
    (",0,1\nu,5.1,3\nv,4.9,2\n", ["unnamed1", "0", "1"]),
    ("0,1,2\n5.1,3,1\n4.9,2,7\n", ["0", "1", "2"]),
    ("2015,2016,2017\n5,6,7\n8,1,3\n", ["2015", "2016", "2017"]),
    ("country,2015,2016\nRome,6,7\nOslo,9,10\n", ["country", "2015", "2016"]),
    ("country,2015,2016\nRome,1960,7\nOslo,1950,2040\n", ["country", "2015", "2016"]),
    ("country,2010,2005,2000\nRome,5,7,2\nOslo,6,9,1\n", ["country", "2010", "2005", "2000"]),
    ("id,score,2015\n1,2,6.5\n2,9,1\n", ["id", "score", "2015"]),
    ("place,1/22/20,1/23/20\nRome,6,7\nOslo,9,10\n", ["place", "1/22/20", "1/23/20"]),
    ("a,a,b,a\n1,2,x,3\n3,4,y,5\n", ["a", "a.1", "b", "a.2"]),
    ("a,a.1,a\n1,2,3\n", ["a", "a.1", "a.1.1"]),
    ("place,2019\nRome,5\nOslo,6\n", ["place", "2019"]),
    ("name,age,\nBob,5,x\nAnn,7,y\n", ["name", "age", "unnamed3"]),
])  # fmt: skip
def test_headers_that_look_like_data(tmp_path, text, names):
    found = read_table(write(tmp_path, text))
    assert found.header
    assert found.names == names
    assert len(found) == text.count("\n") - 1
    assert bool(found.notes) is not ("1/22/20" in text), "what is no plain header is said"


@pytest.mark.parametrize("text", [
    "1,0,3\n0,1,2\n", "2015,2016\n2016,2017\n", "0,1,2\n1,2,3\n5,6,7\n", "Rome,2015\nOslo,2016\n", "0,1,2,3\n1,2,1,0\n", "2019,5,3\n2020,6,4\n2021,1,1\n", "5.1,3,x\n4.9,2,y\n",
    "red,red\nblue,red\nred,blue\n", "2020-01-01,red\n2020-01-02,blue\n", "01.02.2020,red\n02.02.2020,blue\n",
    "1,5;a\n2,5;b\n", "$5,a\n$6,b\n", "p,x,s,n,p\ne,x,s,y,e\np,b,s,n,p\n", "a,\nb,c\n", "-1,a\n1,b\n",
])  # fmt: skip
def test_data_that_look_like_a_header(tmp_path, text):
    found = read_table(write(tmp_path, text))
    assert not found.header
    assert found.names == [f"column{i + 1}" for i in range(len(found.names))]
    assert any("use --header" in note for note in found.notes)


def test_the_target_settles_the_header(tmp_path):
    path = write(tmp_path, "1,0,3\n0,1,2\n")
    assert not read_table(path, target="column2").header
    assert read_table(path, target="3").names == ["1", "0", "3"]
    assert read_table(path, header=True).names == ["1", "0", "3"]
    assert len(read_table(path, header=False, target="3")) == 2


def test_an_index_is_left_out(tmp_path):
    for text in (
        ",x,y\n0,5,a\n1,6,b\n2,7,a\n",
        ",x,y\n5,5,a\n1,6,b\n5,7,a\n",
        "Unnamed: 0,x,y\n0,5,a\n1,6,b\n2,7,a\n",
        ",x,y\nBob,5,a\nAnn,6,b\nTim,7,a\n",
    ):
        table = read_table(write(tmp_path, text))
        guess = guess_column(table, table.names[0])
        assert guess.kind == "id"
        assert "index" in guess.why
        assert TablePreprocessor("y").fit(table).outputs == ["x"]


def test_row_names_of_r(tmp_path):
    found = read_table(write(tmp_path, '"x" "y"\n"1" 5 "a"\n"2" 7 "b"\n"3" 1 "a"\n'))
    assert found.columns == {"unnamed1": ["1", "2", "3"], "x": ["5", "7", "1"], "y": ["a", "b", "a"]}
    assert any("one name short" in note for note in found.notes)
    for text in ("x,y\n1,5,a\n1,6,b\n1,7,a\n", "x,y\n1,5,2\n3,5,4\n7,5,1\n"):  # these name no rows: decimal commas?
        with pytest.raises(DataError, match="line 2 has 3 values, the first row has 2"):
            read_table(write(tmp_path, text))
    assert read_table(write(tmp_path, "name\nJohn Smith\nAnn Lee\n")).columns == {"name": ["John Smith", "Ann Lee"]}


# -- delimiters ------------------------------------------------------------------------------------------------------

XY = {"x": ["1", "3"], "y": ["a", "b"]}


@pytest.mark.parametrize("text", [
    "x\ty\n1\ta\n3\tb\n", "x|y\n1|a\n3|b\n", "x;y\n1;a\n3;b\n", "x y\n1 a\n3 b\n", "  x   y\n  1   a\n 3    b\n",
    "sep=;\nx;y\n1;a\n3;b\n", '"sep=|"\r\nx|y\r\n1|a\r\n3|b\r\n', "\ufeffsep=\t\nx\ty\n1\ta\n3\tb\n",
    "x,y,,\n1,a,,\n3,b,,\n,,,\n,,,\n", "x,y\n1,a,\n3,b,\n", "x;y\n1;a\n3;b\n;\n;\n\n", "x,y\r1,a\r3,b\r",
    "x,y\r\r\n1,a\r\r\n3,b\r\r\n", "# made, by, hand\n# today\nx,y\n1,a\n3,b\n", "#x,y\n1,a\n3,b\n", "\n\nx,y\n1,a\n3,b\n",
    ",\nx,y\n1,a\n3,b\n", "x,y\n1,a\n3,b\x1a",
])  # fmt: skip
def test_delimiters_and_what_is_no_row(tmp_path, text):
    assert read_table(write(tmp_path, text)).columns == XY


@pytest.mark.parametrize(("text", "texts"), [
    ('n\tt\n1\the said "no"\n2\t"Yes" she said\n3\t5" pipe\n', ['he said "no"', '"Yes" she said', '5" pipe']),
    ('n\tt\n1\t"a\n2\tb"\n3\tc\n', ['"a', 'b"', "c"]),  # a quote at either end of a row makes no cell of two lines
    ('n\tt\n1\t"a\tb"\n2\t"c\nd"\n3\te\n', ["a\tb", "c\nd", "e"]),
    ('n|t\n1|"x"\n2|5" pipe\n3|c\n', ["x", '5" pipe', "c"]),
    ("n\tt\n1\tone, two\n2\tone, three\n3\tone, four\n", ["one, two", "one, three", "one, four"]),
    ("n,t\n1,a;b\n2,c;d\n3,e;f\n", ["a;b", "c;d", "e;f"]),
    ('n;t\n1;"a;b"\n2;"c, d"\n3;e\n', ["a;b", "c, d", "e"]),
    ("n;a|b\n1;u|v\n2;u|w\n3;x|y\n", None),
])  # fmt: skip
def test_delimiters_are_judged_by_all_lines_and_quotes(tmp_path, text, texts):
    found = read_table(write(tmp_path, text))
    if texts is not None:
        assert found.columns == {"n": ["1", "2", "3"], "t": texts}
    assert len(found.names) == 2


def test_a_file_aligned_by_spaces_with_a_tab(tmp_path):
    text = '18.0   8   307.0\t"chevrolet chevelle"\n15.0   8   350.0\t"buick skylark"\n'
    found = read_table(write(tmp_path, text))
    assert found["column3"] == ["307.0", "350.0"]
    assert found["column4"] == ["chevrolet chevelle", "buick skylark"]


def test_a_delimiter_that_is_said(tmp_path):
    path = write(tmp_path, "a;b,c\n1;2,3\n")
    assert read_table(path, delimiter=",").names == ["a;b", "c"]
    assert read_table(path, delimiter="semicolon").names == ["a", "b,c"]
    assert read_table(write(tmp_path, "a:b\n1:2\n"), delimiter=":").columns == {"a": ["1"], "b": ["2"]}
    for wrong in ("", "ab", '"', "x", "\n"):
        with pytest.raises(ValueError, match="the delimiter must be one character"):
            read_table(path, delimiter=wrong)


# -- encodings -------------------------------------------------------------------------------------------------------

WORDS = "n,t\n1,é\n2,Größe\n"


@pytest.mark.parametrize(("content", "said"), [
    (WORDS.encode(), None),
    (WORDS.encode("utf-8-sig"), None),
    (WORDS.encode("utf-16"), "UTF-16"),
    (WORDS.encode("utf-16-le"), "UTF-16-LE"),
    (WORDS.encode("utf-16-be"), "UTF-16-BE"),
    (WORDS.encode("utf-32"), "UTF-32"),
    (WORDS.encode("latin-1"), "read as cp1252, e.g. 'é' in line 2"),
])  # fmt: skip
def test_encodings(tmp_path, content, said):
    found = read_table(write(tmp_path, content))
    assert found["t"] == ["é", "Größe"]
    assert len(found.notes) == (said is not None)
    assert said is None or said in found.notes[0]


def test_the_bytes_that_only_one_of_them_has(tmp_path):
    assert read_table(write(tmp_path, "n,t\n1,a€\n".encode("cp1252")))["t"] == ["a€"]
    found = read_table(write(tmp_path, b"n,t\n1,\x81\xe9\n"))  # 0x81 is none of Windows-1252
    assert found["t"] == ["\x81é"]
    assert "latin-1" in found.notes[0]


def test_an_encoding_that_is_said(tmp_path):
    path = write(tmp_path, "n,t\n1,Москва\n".encode("cp1251"))
    found = read_table(path, encoding="cp1251")
    assert found["t"] == ["Москва"]
    assert found.notes == ()
    assert read_table(write(tmp_path, WORDS.encode("utf-8-sig")), encoding="utf-8").names == ["n", "t"]
    with pytest.raises(DataError, match="is not text in ASCII"):
        read_table(path, encoding="ascii")
    with pytest.raises(ValueError, match=r"unknown encoding 'latin1-1'; did you mean 'latin-1'\?"):
        read_table(path, encoding="latin1-1")
    with pytest.raises(ValueError, match="unknown encoding 'rot13'"):
        read_table(path, encoding="rot13")


@pytest.mark.parametrize(("content", "match"), [
    (b"PK\x03\x04xl/workbook", "is an Excel workbook"),
    (b"\x89PNG\r\n\x1a\n", "is a picture"),
    (WORDS.encode() + b"3,\xe9\n", "is not text in UTF-8 from line 4 on"),
    (WORDS.encode("utf-16")[:-1], "is not text in UTF-16"),
])  # fmt: skip
def test_what_is_no_text(tmp_path, content, match):
    with pytest.raises(DataError, match=match):
        read_table(write(tmp_path, content))


# -- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "values"), [
    ("x;y\n1,5;a\n-2,25;b\n", [1.5, -2.25]),
    ('x,y\n"1,5",a\n"0,125",b\n', [1.5, 0.125]),
    ("x;y\n1.234,5;a\n12;b\n", [1234.5, 12]),
    ("x;y\n1.234.567;a\n12;b\n", [1234567, 12]),
    ('x,y\n"1,234.5",a\n"12",b\n', [1234.5, 12]),
    ('x,y\n"1,234",a\n"12,345",b\n', [1234, 12345]),  # with commas between the cells, these are thousands
    ("x;y\n1,234;a\n12,345;b\n", [1.234, 12.345]),  # with semicolons, decimals
    ("x;z;y\n1,234;0.5;a\n12,345;1.5;b\n", [1234, 12345]),  # unless another column tells
    ("x;z;y\n1.234;0,5;a\n12.345;1,5;b\n", [1234, 12345]),
    ("x;y\n1.234;a\n12.345;b\n", [1.234, 12.345]),
    ("x;y\n1 234,5;a\n-1\u00a0234;b\n", [1234.5, -1234]),
    ("x;y\n1'234.5;a\n12;b\n", [1234.5, 12]),
    ("x;y\n1,5e3;a\n+2,5E-1;b\n", [1500, 0.25]),
    ("x,y\n$5,a\n-$7.5,b\n", [5, -7.5]),
    ('x,y\n"$1,200.50",a\n$7,b\n', [1200.5, 7]),
    ("x;y\n1.200,50 €;a\n7,00 €;b\n", [1200.5, 7]),
    ("x,y\n5%,a\n12.5 %,b\n", [5, 12.5]),
    ("x,y\n\u22125,a\n7,b\n", [-5, 7]),
    ("x,y\n1e3,a\n-.5,b\n", [1000, -0.5]),
])  # fmt: skip
def test_numbers_as_people_write_them(tmp_path, text, values):
    found = read_table(write(tmp_path, text))
    assert found.header
    assert found.numbers("x").tolist() == values
    plain = [line.split(";")[0].split(",")[0] for line in text.splitlines()[1:]]
    assert found["x"] == plain or any("is read as" in note for note in found.notes)


@pytest.mark.parametrize(("text", "kind"), [
    ("x,y\n5 kg,a\n6 kg,b\n", "categorical"),
    ("x,y\n$5,a\n6€,b\n", "categorical"),
    ("x,y\n5%,a\n6,b\n", "categorical"),  # of what?
    ("x;y\n1.2.3;a\n1.2.4;b\n", "categorical"),
    ("x;y\n1,23,4;a\n1,2,4;b\n", "categorical"),
])  # fmt: skip
def test_what_is_no_number(tmp_path, text, kind):
    found = read_table(write(tmp_path, text))
    assert guess_column(found, "x").kind == kind
    assert found["x"] == [line.split(text[1])[0] for line in text.splitlines()[1:]]


def test_units_are_said(tmp_path):
    lines = "".join(f"{i} kg,{'ab'[i % 2]}\n" for i in range(30))
    guess = guess_column(read_table(write(tmp_path, f"x,y\n{lines}")), "x")
    assert guess.kind == "text"
    assert "numbers with a unit, such as '0 kg'" in guess.why


def test_number_signs_that_are_said(tmp_path):
    path = write(tmp_path, "x;y\n1.234;a\n12.345;b\n")
    assert read_table(path, decimal=",").numbers("x").tolist() == [1234, 12345]
    assert read_table(path, thousands=".").numbers("x").tolist() == [1234, 12345]
    assert read_table(path, decimal=".").numbers("x").tolist() == [1.234, 12.345]
    for options, match in (
        ({"decimal": ";"}, "decimal must be '.' or ',', got ';'"),
        ({"thousands": "x"}, "thousands must be one of"),
        ({"decimal": ",", "thousands": ","}, "cannot both be ','"),
    ):
        with pytest.raises(ValueError, match=match):
            read_table(path, **options)


def test_cells_that_mean_missing(tmp_path):
    path = write(tmp_path, "x,y\n-999,a\n3,unknown\n-999.0,b\n4,b\n")
    found = read_table(path, missing=["-999", "Unknown"])
    assert found.columns == {"x": ["", "3", "", "4"], "y": ["a", "", "b", "b"]}
    assert "1 cell with '-999', 1 cell with '-999.0', 1 cell with 'unknown'" in found.notes[0]
    assert "no cell is 'none of it'" in read_table(path, missing=["none of it"]).notes[-1]


# -- the same again --------------------------------------------------------------------------------------------------


def test_another_file_is_read_as_the_first_was(tmp_path):
    rows = "".join(f"{i},{i % 9}5;{'ab'[i % 2]};{1 + i}.{i:03},50;no\n" for i in range(30))
    prepare = TablePreprocessor("p").fit(read_table(write(tmp_path, f"x;c;p;n\n{rows}n,a".removesuffix("n,a"))))
    assert prepare.task == "regression"
    again = TablePreprocessor.from_state(prepare.state())
    whole = again.read(tmp_path / "a.csv")
    for text in (
        "x;c;p\n1,15;b;2.001,50\n",
        "c;p;x;new\nb;2.001,50;1,15;1\n",  # in another order
        'x,c,p\n"1,15",b,"2.001,50"\n',  # with other delimiters
        "x\tc\tp\n1,15\tb\t2001,5\n",
    ):
        one = again.read(write(tmp_path, text, "b.csv"))
        np.testing.assert_array_equal(again.transform(one), again.transform(whole.take([1])))
        np.testing.assert_array_equal(again.transform_target(one), again.transform_target(whole.take([1])))


def test_categories_stay_as_they_are_written(tmp_path):
    """A column of texts is none of numbers only because another file's few rows all are."""
    rows = "".join(f"{('1.234', 'x')[i % 2]};{i},5;{'ab'[i % 2]}\n" for i in range(12))
    prepare = TablePreprocessor("y").fit(read_table(write(tmp_path, f"c;x;y\n{rows}")))
    one = prepare.read(write(tmp_path, "c;x\n1.234;2,5\n", "b.csv"))
    assert one["c"] == ["1.234"]
    assert prepare.unseen_cells(one) == []


def test_options_that_were_said_are_kept(tmp_path):
    text = "x;y\n-9;Москва\n2;Омск\n3;Москва\n4;Омск\n"
    table = read_table(write(tmp_path, text.encode("cp1251")), encoding="cp1251", missing=["-9"])
    prepare = TablePreprocessor.from_state(TablePreprocessor("y").fit(table).state())
    assert prepare.classes == ["Москва", "Омск"]
    later = prepare.read(write(tmp_path, "y;x\nОмск;-9\n".encode("cp1251"), "b.csv"))
    assert later.columns == {"y": ["Омск"], "x": [""]}
    later = prepare.read(write(tmp_path, "y;x\nОмск;-9\n", "c.csv"), encoding="utf-8")
    assert later["y"] == ["Омск"]


def test_states_of_earlier_versions_are_read(tmp_path):
    table = read_table(write(tmp_path, "x,y\n1,a\n2,b\n4,a\n"))
    state = TablePreprocessor("y").fit(table).state()
    del state["layout"]
    again = TablePreprocessor.from_state(state)
    assert again.transform(again.read(tmp_path / "a.csv")).shape == (3, 1)
    for wrong in ({}, {"delimiter": "ab"}, {"formats": {"x": ["!", "", ""]}}, {"given": ["seed"]}, None):
        full = TablePreprocessor("y").fit(table).state()
        full["layout"] = wrong if not wrong else {**full["layout"], **wrong}
        with pytest.raises(ValueError, match="the saved preprocessing was damaged or edited"):
            TablePreprocessor.from_state(full)


def test_long_headers_are_cut_short(tmp_path):
    names = [f"measurement{i}" for i in range(500)]
    table = read_table(write(tmp_path, ",".join(names) + "\n" + ",".join("1" * 500) + "\n"))
    with pytest.raises(DataError, match="no column 'measurment7'; did you mean 'measurement7'") as caught:
        table["measurment7"]
    assert len(str(caught.value)) < 500
    assert "and 488 more" in str(caught.value)
    with pytest.raises(DataError) as caught:
        table["x" * 5000]
    assert len(str(caught.value)) < 500


# -- tables as programs print them -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    "| a | b |\n|---|:-:|\n| 1 | x y |\n| 3 |  |\n",  # Markdown
    "a | b\n--- | ---\n1 | x y\n3 |\n",
    " a |  b  \n---+-----\n 1 | x y\n 3 | \n(2 rows)\n\n",  # psql
    "+---+-----+\r\n| a | b   |\r\n+---+-----+\r\n| 1 | x y |\r\n| 3 |     |\r\n+---+-----+\r\n2 rows in set (0.00 sec)\r\n",
])  # fmt: skip
def test_lines_around_the_cells_are_no_rows(tmp_path, text):
    found = read_table(write(tmp_path, text))
    assert found.columns == {"a": ["1", "3"], "b": ["x y", ""]}
    assert found.lines[0] == text.replace("\r", "").split("\n").index(
        next(line for line in text.replace("\r", "").split("\n") if "x y" in line)
    ) + 1  # fmt: skip
    assert any("drawn around the cells" in note for note in found.notes)


@pytest.mark.parametrize("text", ["a|b\n-1|-2\n--|3\n", "a,b\n--,--\n1,2\n", "|a|b|\n|--|--|\n|x|y|\n|--|--|\n|z|w|\n"])
def test_dashes_in_cells_are_data(tmp_path, text):
    found = read_table(write(tmp_path, text))
    assert any("--" in cells for cells in found.columns.values())


# -- numbers of accountants, and of two files ------------------------------------------------------------------------


@pytest.mark.parametrize(("cells", "values"), [
    (["(1,234.50)", "20.5"], [-1234.5, 20.5]),
    (["($1,200)", "$30"], [-1200.0, 30.0]),
    (["1.234,50-", "20,5"], [-1234.5, 20.5]),  # SAP
    (["(5%)", "6%"], [-5.0, 6.0]),
])  # fmt: skip
def test_negative_numbers_in_brackets_or_with_a_minus_behind(tmp_path, cells, values):
    text = "x|y\n" + "".join(f"{cell}|{i}\n" for i, cell in enumerate(cells))
    np.testing.assert_array_equal(read_table(write(tmp_path, text)).numbers("x"), values)


def test_what_only_looks_like_a_negative_number(tmp_path):
    for cells in (["555-1234", "555-9999"], ["(030) 12", "(040) 13"], ["-5-", "3"], ["(12", "3"], ["12)", "3"]):
        text = "x;y\n" + "".join(f"{cell};{i}\n" for i, cell in enumerate(cells))
        assert read_table(write(tmp_path, text))["x"] == cells


def test_another_file_may_write_its_numbers_otherwise(tmp_path):
    cells = ["1.234,5", "2.000,25", "12,5", "1.111,0"]
    train = write(tmp_path, "p;y\n" + "".join(f"{cell};{i % 2}\n" for i, cell in enumerate(cells)))
    prepare = TablePreprocessor("y").fit(read_table(train))

    def read(text, **options):
        return prepare.read(write(tmp_path, text, "b.csv"), **options).numbers("p").tolist()

    assert read("p;y\n1.234;0\n12,5;1\n") == [1234.0, 12.5]  # as in training
    assert read("p,y\n12.5,0\n1.234,1\n2000.25,0\n") == [12.5, 1.234, 2000.25]  # a mixture of both was read before
    assert read('p,y\n"1,234.5",0\n"2,000.25",1\n') == [1234.5, 2000.25]
    assert read("p,y\n1.234,0\n", decimal=".") == [1.234]
    with pytest.raises(DataError, match="line 3, column 'p': 'dear' is not a number"):
        read("p;y\n1.234,5;0\ndear;1\n")
