"""Tables: read strictly, guessed and said, encoded the same way ever after."""

import gzip
import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from xpnet.data import DataError, Table, TablePreprocessor, class_weights, read_table, split_rows
from xpnet.data.tables import guess_column, guess_task

PEOPLE = """id,age,town,member,income,always,note,blank,won
1,20,Rome,yes,1.5,x,t1,,no
2,,Oslo,no,2.5,x,t2,,yes
3,40,Rome,yes,3.5,x,t3,,no
4,30,,no,1e1,x,t4,,yes
"""


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.fixture
def people(tmp_path):
    return read_table(write(tmp_path / "people.csv", PEOPLE))


def table(**columns):
    columns = {name: [str(cell) for cell in cells] for name, cells in columns.items()}
    return Table("t.csv", columns, list(range(2, 2 + len(next(iter(columns.values()))))))


# -- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_what_files_look_like(tmp_path, end, pack):
    text = "\ufeff" + end.join(['name , "a,b"', '"Braund, ""Owen""", 1', 'x,"2\n3"', "", ""])
    found = read_table(write(tmp_path / "a.csv", pack(text.encode())))
    assert found.columns == {"name": ['Braund, "Owen"', "x"], "a,b": ["1", "2\n3"]}
    assert found.lines == [2, 3]
    assert found.header
    assert found.notes == ()


@pytest.mark.parametrize(("first", "header"), [
    ("a,b", True), ("a,1", False), ("5.1,setosa", False), ("a,", False), ("a,NA", False), ("a b,c", True),
])  # fmt: skip
def test_whether_there_is_a_header(tmp_path, first, header):
    found = read_table(write(tmp_path / "a.csv", f"{first}\nx,2\n"))
    assert found.header is header
    assert len(found) == (1 if header else 2)
    assert found.names == (first.split(",") if header else ["column1", "column2"])
    assert bool(found.notes) is not header
    assert len(read_table(tmp_path / "a.csv", header=False)) == 2


def test_other_delimiters_are_said(tmp_path):
    for delimiter, name in ((";", "semicolons"), ("\t", "tabs")):
        found = read_table(write(tmp_path / "a.csv", f'"a,b"{delimiter}c\n1{delimiter}2\n'))
        assert found.columns == {"a,b": ["1"], "c": ["2"]}
        assert name in found.notes[0]


def test_a_column_without_a_name(tmp_path):
    found = read_table(write(tmp_path / "a.csv", ",x\n0,5\n1,6\n2,7\n"), header=True)
    assert found.names == ["unnamed1", "x"]
    assert found.notes == ("column 1 has no name: it is called unnamed1",)
    assert guess_column(found, "unnamed1").kind == "id"


@pytest.mark.parametrize(("text", "match"), [
    ("a,b\n1,2\n3\n", "line 3 has 1 values, the first row has 2"),
    ("a,b\n1,2,3\n", "line 2 has 3 values, the first row has 2"),
    ('a,b\n"x\ny",2\n3\n', "line 4 has 1 values"),
    ("a,b\n1,2\n\n3,4\n", "line 3 is empty: delete it"),
    ("a,b\n1,2\n,\n3,4\n", "line 3 has only empty cells"),
    ('a,b\n1,"2\n', "line 2: unexpected end of data: look for a quote that is not closed"),
    ('a,b\n1,2\n"x"y,2\n', "line 3: ',' expected after '\"'"),
    ("a,b\n", "has a header and no rows"),
    ("\n\n", "has no rows"),
    ("", "is empty"),
    ("a,b\n1,\0\n", "line 2 holds a zero byte"),
    (b"a,b\n\xe9\x01\x02,1\n", "is not text in UTF-8"),
    ("a,b\n\xe9\xe8,1\n".encode() + b"\xe9,2\n", "is not text in UTF-8 from line 3 on"),
    ("<!doctype html>", "is a web page"),
    ("a,b\n" + "x" * 200_000 + ",1\n", "line 2: field larger than field limit"),
])  # fmt: skip
def test_what_is_wrong_and_where(tmp_path, text, match):
    path = write(tmp_path / "a.csv", text)
    with pytest.raises(DataError, match=match) as caught:
        read_table(path)
    assert "a.csv" in str(caught.value)


def test_a_column_that_is_not_there(people):
    with pytest.raises(DataError, match=r"no column 'Incme'; did you mean 'income'\? \(its columns: id, age, town"):
        people["Incme"]
    with pytest.raises(DataError, match=r"no column 'zzz' \(its columns"):
        people["zzz"]


@pytest.mark.parametrize(("cell", "value"), [
    ("1", 1.0), ("-2.5", -2.5), ("+.5", 0.5), ("1.", 1.0), ("1E3", 1000.0), ("", None), ("NA", None), ("nan", None),
    ("?", None), ("None", None), ("inf", "not finite"), ("-Infinity", "not finite"), ("1e999", "not finite"),
    ("1_000", "not a number"), ("1,5", "not a number"), ("0x10", "not a number"), ("٣", "not a number"),
    ("two", "not a number"), ("--1", "not a number"),
])  # fmt: skip
def test_numbers(cell, value):
    made = table(x=["0", cell])
    if isinstance(value, str):
        with pytest.raises(DataError, match=rf"t\.csv: line 3, column 'x': '.*' is {value}"):
            made.numbers("x")
    else:
        np.testing.assert_array_equal(made.numbers("x"), [0.0, np.nan if value is None else value])


def test_mutations_give_an_error_or_a_result(tmp_path):
    rng = np.random.default_rng(0)
    path, good, nameless = tmp_path / "a.csv", 0, 0
    content = PEOPLE.encode()
    for _ in range(1000):
        changed = bytearray(content)
        for place in rng.integers(0, len(changed), rng.integers(1, 4)):
            changed[place] = rng.choice(list(b'0123456789,.-+\n\r"eEnaif?;\t #x \x00\xff'))
        cut = rng.integers(len(changed) // 2, len(changed)) if rng.random() < 0.3 else len(changed)
        path.write_bytes(bytes(changed[:cut]))
        try:
            found = read_table(path)
            prepare = TablePreprocessor(found.names[-1]).fit(found)
            x, y = prepare.transform(found), prepare.transform_target(found)
        except DataError as error:
            nameless += "a.csv" not in str(error)
            continue
        good += 1
        assert np.isfinite(x).all()
        assert len(x) == len(y) == len(found)
        assert x.shape[1] == len(prepare.outputs)
    assert not nameless
    assert good > 200


# -- guessing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cells", "kind"), [
    (["1", "2.5", ""], "numeric"),
    (["1", "1", "2"], "numeric"),
    (["0", "1", "1"], "boolean"),
    (["0", "1", "2"], "numeric"),
    (["yes", "No", "NO"], "boolean"),
    (["True", "FALSE"], "boolean"),
    (["yes", "", "yes"], "categorical"),
    (["a", "b", "?"], "categorical"),
    (["1", "2", "10+"], "categorical"),
    ([f"name {i}" for i in range(30)], "text"),
    ([f"t{i % 15}" for i in range(30)], "categorical"),
    ([f"t{i % 101}" for i in range(1000)], "text"),
    (["x"] * 3, "constant"),
    (["5"] * 3, "constant"),
    (["", "NA"], "empty"),
])  # fmt: skip
def test_kinds(cells, kind):
    guess = guess_column(table(x=cells), "x")
    assert guess.kind == kind
    assert guess.why


@pytest.mark.parametrize(("name", "kind"), [
    ("id", "id"), ("PassengerId", "id"), ("user_id", "id"), ("Row", "id"), ("userID", "id"), ("x", "numeric"),
    ("paid", "numeric"), ("humid", "numeric"), ("year", "numeric"),
])  # fmt: skip
def test_what_identifies_a_row_is_no_number(name, kind):
    made = table(**{name: ["11", "7", "30"]})
    assert guess_column(made, name).kind == kind
    assert guess_column(table(**{name: ["1", "1", "2"]}), name).kind == "numeric"


def test_a_typing_error_in_a_column_of_numbers():
    cells = [*map(str, range(40)), "4o"]
    with pytest.raises(DataError, match=r"line 42, column 'x': '4o' is not a number, but 98% of the column are"):
        guess_column(table(x=cells), "x")


@pytest.mark.parametrize(("cells", "task"), [
    (["yes", "no"], "classification"),
    (["0", "1", ""], "classification"),
    (["a", "b", "c"], "classification"),
    (["1", "2", "3"] * 3, "classification"),
    (["1", "2", "3"], "regression"),
    (["1.5", "2", "2"] * 4, "regression"),
    ([*map(str, range(11))] * 5, "regression"),
])  # fmt: skip
def test_tasks(cells, task):
    assert guess_task(table(y=cells), "y").kind == task


# -- encoding --------------------------------------------------------------------------------------------------------


def test_all_of_it_by_hand(people):
    prepare = TablePreprocessor("won").fit(people)
    kinds = {name: guess.kind for name, guess in prepare.guesses.items()}
    assert kinds == {
        "id": "id", "age": "numeric", "town": "categorical", "member": "boolean", "income": "numeric",
        "always": "constant", "note": "categorical", "blank": "empty",
    }  # fmt: skip
    prepare = TablePreprocessor("won", kinds={"note": "ignore"}).fit(people)
    assert prepare.outputs == [
        "age",
        "age is missing",
        "town=Oslo",
        "town=Rome",
        "town is missing",
        "member=yes",
        "income",
    ]
    x = prepare.transform(people)
    assert x.dtype == np.float32
    ages = np.array([20.0, 30.0, 40.0, 30.0])
    incomes = np.array([1.5, 2.5, 3.5, 10.0])
    expected = np.array([
        (ages - 30) / ages.std(), [0, 1, 0, 0], [0, 1, 0, 0], [1, 0, 1, 1], [0, 0, 0, 1], [1, 0, 1, 0],
        (incomes - incomes.mean()) / incomes.std(),
    ])  # fmt: skip
    np.testing.assert_allclose(x, expected.T, rtol=1e-6)
    assert prepare.classes == ["no", "yes"]
    assert prepare.transform_target(people).tolist() == [0, 1, 0, 1]
    said = "\n".join(prepare.describe())
    assert (
        "age     numeric     3 different numbers, 1 missing: filled with the median 30, and a column that says so"
        in said
    )
    assert "always  constant    always 'x': left out" in said
    assert "note    ignore      as asked for" in said


def test_the_same_as_scikit_learn(tmp_path):
    pytest.importorskip("sklearn", reason="compares with scikit-learn")
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler
    from sklearn.utils.class_weight import compute_class_weight

    rng = np.random.default_rng(0)
    numbers = rng.normal(3, 2, 40).round(3)
    numbers[[3, 30]] = np.nan
    towns = rng.choice(["a", "b", "c"], 40)
    towns[35] = "never seen"
    labels = np.r_[np.zeros(30, int), np.ones(10, int)]
    made = table(x=["" if np.isnan(v) else v for v in numbers], town=towns, y=labels)
    prepare = TablePreprocessor("y").fit(made, range(30 - 5, 35))
    x = prepare.transform(made)
    train = slice(25, 35)
    scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler()).fit(numbers[train, None])
    np.testing.assert_allclose(x[:, :1], scaled.transform(numbers[:, None]), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(x[:, 1], np.isnan(numbers))
    hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(towns[train, None])
    np.testing.assert_array_equal(x[:, 2:], hot.transform(towns[:, None]))
    expected = compute_class_weight("balanced", classes=np.array([0, 1]), y=labels)
    np.testing.assert_allclose(class_weights(labels, 2), expected, rtol=1e-6)


@given(st.integers(0, 4), st.sampled_from(["", "1e6", "-7"]), st.sampled_from(["", "elsewhere", "b"]))
def test_only_training_rows_are_learned_from(row, number, text):
    """Whatever stands in the other rows, the training rows become the same numbers."""
    numbers, texts = ["1", "2", "4", "8", "", "3", "5", "7"], ["a", "b", "a", "c", "b", "", "a", "b"]
    train = [5, 6, 7]
    made = table(x=numbers, c=texts, y=["p", "q"] * 4)
    before = TablePreprocessor("y").fit(made, train)
    numbers[row], texts[row] = number, text
    changed = table(x=numbers, c=texts, y=["p", "q"] * 4)
    after = TablePreprocessor("y").fit(changed, train)
    assert before.state() == after.state()
    np.testing.assert_array_equal(before.transform(made.take(train)), after.transform(changed.take(train)))


CELLS = st.one_of(
    st.just(""), st.integers(-9, 9).map(str), st.floats(-1e6, 1e6).map(repr), st.sampled_from(list("abc"))
)


@given(
    st.lists(
        st.tuples(CELLS, st.sampled_from(["u", "v", "w", "NA"]), st.sampled_from(["p", "q"])), min_size=4, max_size=12
    )
)
def test_states_round_trip_through_json(rows):
    x, c, y = zip(*rows, strict=True)
    made = table(x=x, c=c, y=["p", "q", *y[2:]])
    try:
        prepare = TablePreprocessor("y").fit(made)
    except DataError:  # nothing but constant columns, or numbers with a single text among them
        assume(False)
    state = prepare.state()
    again = TablePreprocessor.from_state(json.loads(json.dumps(state)))
    assert again.state() == state
    np.testing.assert_array_equal(again.transform(made), prepare.transform(made))
    assert np.isfinite(prepare.transform(made)).all()
    labels = prepare.transform_target(made)
    assert [prepare.classes[i] for i in labels] == made["y"]


@given(st.lists(st.floats(-1e9, 1e9), min_size=3, max_size=12, unique=True))
def test_a_number_as_target_and_back(values):
    made = table(x=range(len(values)), y=map(repr, values))
    prepare = TablePreprocessor("y", task="regression").fit(made)
    y = prepare.transform_target(made)
    assert y.shape == (len(values), 1)
    assert y.dtype == np.float32
    scale = max(np.abs(values).max(), prepare.scale)
    np.testing.assert_allclose(prepare.inverse_target(y), values, atol=1e-6 * scale)


def test_categories_that_were_never_seen():
    train = table(town=["Rome", "Oslo", "Rome"], flag=["yes", "no", "no"], y=["a", "b", "a"])
    later = table(town=["Oslo", "Paris", "Bonn"], flag=["YES", "maybe", "no"])
    prepare = TablePreprocessor("y").fit(train)
    assert prepare.transform(later).tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 0]]
    said = prepare.unseen_cells(later)
    assert said[0].startswith("t.csv: line 3, column 'town': 'Paris' was never seen in training, nor were 1 more")
    assert "line 3, column 'flag': 'maybe' was never seen" in said[1]
    strict = TablePreprocessor("y", unseen="error").fit(train)
    with pytest.raises(DataError, match="line 3, column 'town': 'Paris' was not among the 2 categories"):
        strict.transform(later)
    with pytest.raises(DataError, match=r"did you mean 'Oslo'\?"):
        strict.transform(table(town=["Osl0"], flag=["no"]))


def test_a_number_is_the_same_category_in_either_form():
    train = table(c=["1", "2", "3"], y=["0", "1", "1"])
    prepare = TablePreprocessor("y", kinds={"c": "categorical"}).fit(train)
    later = table(c=["1.0", "3.00"], y=["1.0", "0.0"])
    assert prepare.transform(later).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert prepare.transform_target(later).tolist() == [1, 0]


def test_missing_values_that_training_did_not_have():
    prepare = TablePreprocessor("y").fit(table(x=["1", "2", "9"], c=["a", "b", "a"], y=["p", "q", "p"]))
    assert prepare.outputs == ["x", "c=a", "c=b"]
    found = prepare.transform(table(x=["", "2"], c=["NA", "a"]))
    np.testing.assert_array_equal(found[0], found[1])  # median 2, most frequent a


def test_wholly_missing_in_the_training_rows():
    made = table(x=["", "", "5"], c=["", "", "b"], z=["1", "2", "3"], y=["p", "q", "p"])
    prepare = TablePreprocessor("y").fit(made, [0, 1])
    found = prepare.transform(made)
    assert np.isfinite(found).all()
    assert prepare.outputs == ["x", "x is missing", "c=", "c is missing", "z"]


def test_columns_that_do_not_matter_may_be_absent_or_more(people):
    prepare = TablePreprocessor("won").fit(people)
    used = {column.name for column in prepare.columns}
    fewer = Table("new.csv", {"more": ["1"] * 4} | {name: people[name] for name in used}, people.lines)
    np.testing.assert_array_equal(prepare.transform(fewer), prepare.transform(people))


@pytest.mark.parametrize(("columns", "target", "options", "match"), [
    ({"x": [1, 2], "y": [1, 2]}, "z", {}, r"no column 'z'"),
    ({"x": [1, 2], "y": ["a", "a"]}, "y", {}, "the target 'y' is always 'a': there is nothing to learn"),
    ({"x": [1, 2], "y": ["", ""]}, "y", {}, "the target 'y' is missing in every row"),
    ({"x": [1] * 6, "y": list("abcdef")}, "y", {}, "'y' has 6 different values in 6 rows: these are not classes"),
    ({"x": [1, 2], "y": ["a", "b"]}, "y", {"task": "regression"}, "line 2, column 'y': 'a' is not a number"),
    ({"x": [1, 1], "y": ["a", "b"]}, "y", {}, r"no column to learn 'y' from \(x: always '1': left out\)"),
    ({"y": ["a", "b"]}, "y", {}, r"no column to learn 'y' from \(there is no other\)"),
    ({"x": [1, "inf", 2], "y": [0, 1, 0]}, "y", {}, "line 3, column 'x': 'inf' is not finite: correct it or leave it"),
    ({"x": [1, 2], "y": [0, 1]}, "y", {"kinds": {"w": "ignore"}}, "no column 'w'"),
    ({"x": [1, 2], "y": [0, 1]}, "y", {"kinds": {"y": "numeric"}}, "'y' is the target: it cannot be 'numeric' as well"),
    ({"x": ["a", 2], "y": [0, 1]}, "y", {"kinds": {"x": "numeric"}}, "line 2, column 'x': 'a' is not a number"),
    ({"x": range(2002), "y": [0, 1] * 1001}, "y", {"kinds": {"x": "categorical"}}, "column 'x' has 2,002 categories, at most 1,000"),
    ({"x": [1, 2] * 2002, "y": [f"c{i % 2002}" for i in range(4004)]}, "y", {}, "'y' has 2,002 different values in 4,004 rows"),
    ({"x": ["1e308", "-1e308"], "y": [0, 1]}, "y", {}, "column 'x' are too large to be standardised"),
])  # fmt: skip
def test_what_cannot_be_learned(columns, target, options, match):
    with pytest.raises(DataError, match=match):
        TablePreprocessor(target, **options).fit(table(**columns))


@pytest.mark.parametrize(("columns", "match"), [
    ({"c": ["a"]}, "no column 'x'"),
    ({"x": ["a"], "c": ["a"]}, "line 2, column 'x': 'a' is not a number"),
    ({"x": ["1e300"], "c": ["a"]}, r"line 2, column 'x': 1e\+300 is far beyond the training rows"),
])  # fmt: skip
def test_rows_that_do_not_fit(columns, match):
    prepare = TablePreprocessor("y").fit(table(x=[1, 2, 4], c=["a", "b", "b"], y=["no", "yes", "no"]))
    with pytest.raises(DataError, match=match):
        prepare.transform(table(**columns))


def test_targets_that_do_not_fit():
    prepare = TablePreprocessor("y").fit(table(x=[1, 2, 4], y=["no", "yes", "no"]))
    with pytest.raises(
        DataError, match=r"line 2, column 'y': 'yess' is not a class .*did you mean 'yes'\? \(they are no, yes\)"
    ):
        prepare.transform_target(table(y=["yess"]))
    with pytest.raises(DataError, match="line 3, column 'y': the target is missing"):
        prepare.transform_target(table(y=["no", ""]))
    numbers = TablePreprocessor("y").fit(table(x=[1, 2, 4], y=[1.5, 2, 3]))
    with pytest.raises(DataError, match=r"line 2, column 'y': 1e\+300 is far beyond the training rows"):
        numbers.transform_target(table(y=["1e300"]))


@pytest.mark.parametrize(("use", "match"), [
    (lambda: TablePreprocessor("y", task="ranking"), "task must be one of classification, regression, got 'ranking'"),
    (lambda: TablePreprocessor("y", unseen="guess"), "unseen must be 'ignore' or 'error', got 'guess'"),
    (lambda: TablePreprocessor("y", kinds={"x": "date"}), "the kind of 'x' must be one of numeric, categorical, boolean"),
    (lambda: TablePreprocessor("y").transform(table(x=[1])), "knows nothing yet: call fit"),
    (lambda: split_rows(10, 1.5), "the share to put aside must lie between 0 and 1, got 1.5"),
    (lambda: split_rows(2, 0.1), "2 rows are too few to put 10% of them aside"),
    (lambda: class_weights([0, 3], 3), r"labels must be whole numbers in 0\.\.2"),
    (lambda: class_weights([], 3), "at least one"),
])  # fmt: skip
def test_wrong_use(use, match):
    with pytest.raises(ValueError, match=match):
        use()


def test_damaged_states(people):
    state = TablePreprocessor("won").fit(people).state()
    numeric = next(i for i, column in enumerate(state["columns"]) if column["kind"] == "numeric")
    wrong = [
        {}, {**state, "columns": []}, {**state, "columns": [{}]}, {**state, "columns": [{"kind": "numeric"}]},
        {**state, "scale": 0}, {**state, "center": "x"}, {**state, "task": "?"}, {**state, "left_out": {"a": "?"}},
        {**state, "columns": [{**state["columns"][numeric], "std": 0.0}]},
        {**state, "columns": [{**state["columns"][numeric], "mean": "many"}]},
        {**state, "columns": [{"kind": "categorical", "name": "c", "categories": [1], "frequent": 1, "indicator": False}]},
        {**state, "names": None}, None,
    ]  # fmt: skip
    for changed in wrong:
        with pytest.raises(ValueError, match="the saved preprocessing was damaged or edited"):
            TablePreprocessor.from_state(changed)
    assert TablePreprocessor.from_state(state).state() == state


# -- rows ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from("aaab"), min_size=10, max_size=60), st.floats(0.1, 0.6), st.integers(0, 9))
def test_every_class_has_its_share_put_aside(labels, share, seed):
    names = np.array(labels)
    kept, aside = split_rows(len(names), share, labels=names, seed=seed)
    assert sorted([*kept, *aside]) == list(range(len(names)))
    expected = {name: round(share * labels.count(name)) for name in set(labels)}
    if any(expected.values()):
        assert {name: (names[aside] == name).sum() for name in set(labels)} == expected
    else:
        assert labels.count(names[aside].item()) == max(map(labels.count, set(labels)))
    again = split_rows(len(names), share, labels=names, seed=seed)
    np.testing.assert_array_equal(again[1], aside)


def test_class_weights_by_hand():
    assert class_weights(np.array([0, 0, 0, 1]), 2).tolist() == pytest.approx([4 / 6, 2.0])
    assert class_weights([0, 2], 3).tolist() == pytest.approx([2 / 3, 0.0, 2 / 3])


def test_headerless_files_with_and_without_the_target(tmp_path):
    path = write(tmp_path / "train.csv", "a,1,5.0\nb,2,6.0\na,3,7.0\nb,4,9.0\n")
    prepare = TablePreprocessor("column1").fit(read_table(path))
    assert not prepare.header
    full = prepare.transform(prepare.read(path))
    raw = prepare.read(write(tmp_path / "new.csv", "1,5.0\n2,6.0\n"))
    assert raw.names == ["column2", "column3"]
    np.testing.assert_array_equal(prepare.transform(raw), full[:2])
    with pytest.raises(DataError, match="has 4 columns, the training file had 3, or 2 without the target 'column1'"):
        prepare.read(write(tmp_path / "bad.csv", "1,2,3,4\n"))


def test_titanic(data_dir):
    path = data_dir / "tabular/titanic.csv"
    if not path.exists():
        pytest.skip("XPNET_DATA has no tabular/")
    found = read_table(path)
    prepare = TablePreprocessor("Survived").fit(found)
    kinds = {name: guess.kind for name, guess in prepare.guesses.items()}
    assert [name for name, kind in kinds.items() if kind in ("id", "text")] == [
        "PassengerId",
        "Name",
        "Ticket",
        "Cabin",
    ]
    assert prepare.transform(found).shape == (891, 12)
    assert prepare.transform_target(found).sum() == 342
    assert sum(cell == "" for cell in found["Age"]) == 177


@pytest.mark.parametrize(("name", "rows", "task"), [
    ("iris", 150, "classification"), ("winequality-red", 1599, "classification"), ("pima-indians-diabetes", 768, "classification"),
])  # fmt: skip
def test_tables_without_header(data_dir, name, rows, task):
    path = data_dir / f"tabular/{name}.csv"
    if not path.exists():
        pytest.skip("XPNET_DATA has no tabular/")
    found = read_table(path)
    assert not found.header
    prepare = TablePreprocessor(found.names[-1]).fit(found)
    assert (len(found), prepare.task, len(prepare.columns)) == (rows, task, len(found.names) - 1)
