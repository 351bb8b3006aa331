"""What a target's cells mean, and dates among the columns."""

import json

import numpy as np
import pytest

from xpnet.data import DataError, Table, TablePreprocessor
from xpnet.data.tables import guess_column, guess_task
from xpnet.data.tables.dates import days, guess_dates, in_order
from xpnet.data.tables.kinds import fold_classes, known_targets


def table(**columns):
    columns = {name: [str(cell) for cell in cells] for name, cells in columns.items()}
    return Table("t.csv", columns, list(range(2, 2 + len(next(iter(columns.values()))))))


def fitted(cells, **options):
    made = table(x=range(len(cells)), y=cells)
    return TablePreprocessor("y", **options).fit(made), made


# -- classes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cells", "classes", "labels"), [
    (["0.0", "1.0", "1.0"], ["0.0", "1.0"], [0, 1, 1]),
    (["1.0", "2.0", "3.0"] * 3, ["1.0", "2.0", "3.0"], [0, 1, 2] * 3),
    (["1", "1.0", "2", "1"] * 2, ["1", "2"], [0, 0, 1, 0] * 2),
    (["-1", "+1", "1", "1"] * 2, ["-1", "1"], [0, 1, 1, 1] * 2),
    (["0", "1.0", "1", "0.0"], ["0", "1"], [0, 1, 1, 0]),
    (["YES", "Yes", "yes", "yes", "no"], ["no", "yes"], [1, 1, 1, 1, 0]),
    (["Yes", "NO", "No", "No"], ["No", "Yes"], [1, 0, 0, 0]),
    (["TRUE", "false", "True", "TRUE"], ["false", "TRUE"], [1, 0, 1, 1]),
    (["T", "f", "F", "F"], ["F", "T"], [1, 0, 0, 0]),
    (["cat", "Cat", "dog"] * 2, ["Cat", "cat", "dog"], [1, 0, 2] * 2),  # the guess folds no other texts
    (["1e0", "2", "2"] * 2, ["1e0", "2"], [0, 1, 1] * 2),
])  # fmt: skip
def test_classes_and_their_spellings(cells, classes, labels):
    prepare, made = fitted(cells)
    assert prepare.task == "classification"
    assert prepare.classes == classes
    again = TablePreprocessor.from_state(json.loads(json.dumps(prepare.state())))
    assert again.transform_target(made).tolist() == labels


def test_spellings_that_come_later():
    for seen, later in ((["no", "yes", "yes"], ["YES", "No"]), (["0", "1", "1"], ["1.0", "0.0"])):
        prepare, _ = fitted(seen)
        assert prepare.transform_target(table(y=later)).tolist() == [1, 0]
        assert prepare.labelled(table(y=later)) == ([0, 1], {})
    with pytest.raises(DataError, match=r"'Cat' is not a class of the training rows; did you mean 'cat'\?"):
        fitted(["cat", "dog", "dog"])[0].transform_target(table(y=["Cat"]))


def test_classes_are_counted_once_spelled_alike():
    assert sorted(fold_classes(["YES", "Yes", "yes", "yes", "no"])) == ["no", "yes"]
    with pytest.raises(DataError, match="there is nothing to learn"):
        fitted(["1", "1.0", "1.00"], task="classification")


@pytest.mark.parametrize(("cells", "known"), [
    (["yes", "no", "None", "NA", "null", "N/A"], [0, 1, 2, 3, 4, 5]),
    (["a", "b", "", "?", "nan", "NaN", "<NA>"], [0, 1]),
    (["0", "1", "NA", "None", "", "1"], [0, 1, 5]),
    (["1.5", "2.5", "null", "7"], [0, 1, 3]),
    (["None", "none", "Mild"], [0, 1, 2]),
])  # fmt: skip
def test_which_targets_are_missing(cells, known):
    assert known_targets(table(y=cells), "y") == known


def test_none_is_a_class_in_training_and_after():
    prepare, made = fitted(["None", "Mild", "NA"] * 3)
    assert prepare.classes == ["Mild", "NA", "None"]
    assert prepare.transform_target(made).tolist() == [2, 0, 1] * 3
    assert prepare.labelled(table(y=["None", "", "?", "null", "Mild"])) == ([0, 4], {"": 1, "?": 1, "null": 1})
    with pytest.raises(DataError, match="line 2, column 'y': the target is missing"):
        fitted(["a", "b"])[0].transform_target(table(y=["NA"]))  # there it is no class


def test_labels_that_cannot_be_used():
    prepare, _ = fitted(["<=50K", ">50K"] * 3)
    later = table(y=["<=50K.", ">50K", ">50K.", "<=50K.", ""])
    assert prepare.labelled(later) == ([1], {"<=50K.": 2, ">50K.": 1, "": 1})
    with pytest.raises(DataError, match=r"'<=50K\.' is not a class .*did you mean '<=50K'\?"):
        prepare.transform_target(later.take([0, 1]))
    numbers, _ = fitted([1.5, 2.5, 7])
    assert numbers.labelled(table(y=["3", "inf", "x", "NA"])) == ([0], {"inf": 1, "x": 1, "NA": 1})


@pytest.mark.parametrize(("cells", "task"), [
    (["0.0", "1.0", ""], "classification"),
    (["1.0", "2.0", "3.0"] * 3, "classification"),
    (["1.0", "2.0", "3.0"], "regression"),
    (["0.5", "1.0"] * 9, "regression"),
    (["1e5", "2e5", "1e5"] * 4, "classification"),
])  # fmt: skip
def test_tasks_of_numbers_with_a_point(cells, task):
    assert guess_task(table(y=cells), "y").kind == task


# -- dates -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cell", "form", "value"), [
    ("1970-01-01", "year-month-day", 0.0),
    ("2000/3/1", "year-month-day", 11017.0),
    ("1970-01-02T06:00:00Z", "year-month-day", 1.25),
    ("1970-01-02 06:00:00+06:00", "year-month-day", 1.0),
    ("1970-01-01 12:00:00.5", "year-month-day", 0.5 + 0.5 / 86400),
    ("31.12.1969", "day-month-year", -1.0),
    ("2/1/1970 6:00 PM", "month-day-year", 31.75),
    ("1/2/70 12:00 AM", "day-month-year", 31.0),
    ("01-02-68", "day-month-year", 35825.0),
    ("1970-02", "year-month", 31.0),
    ("2 Jan 1970", "day month year", 1.0),
    ("02-JAN-70", "day month year", 1.0),
    ("Friday, January 2nd, 1970", "month day year", 1.0),
    ("Feb 1970", "month year", 31.0),
    ("19700102", "yearmonthday", 1.0),
    ("19700102120000", "yearmonthday", 1.5),
    ("19700102T1200Z", "yearmonthdayThour", 1.5),
    ("1970-01-02 06:00:00+06", "year-month-day", 1.0),  # PostgreSQL
    ("Fri, 02 Jan 1970 12:00:00 GMT", "day month year", 1.5),  # mail
    ("Fri Jan 02 1970 13:00:00 GMT+0100 (CET)", "month day year", 1.5),  # JavaScript
    ("02/Jan/1970:05:00:00 -0700", "day month year", 1.5),  # logs of web servers
    ("Fri Jan  2 12:00:00 1970", "month day time year", 1.5),  # C
    ("Fri Jan 02 12:00:00 +0000 1970", "month day time year", 1.5),
    ("Fri Jan 02 05:00:00 PDT 1970", "month day time year", 1.5),
    ("Jan-70", "month year", 0.0),
    ("02/1970", "month-year", 31.0),
    ("1970Q2", "year quarter", 90.0),
    ("1970-Q2", "year quarter", 90.0),
    ("Q1 1971", "quarter year", 365.0),
    ("1970-W02", "year-week", 4.0),  # a Monday
    ("1970W021", "year-week", 4.0),
    ("1970\u5e741\u67083\u65e5", "year\u5e74month\u6708day\u65e5", 2.0),
    ("1970-W60", "year-week", None),
    ("1970-02-30", "year-month-day", None),
    ("1970-13-01", "year-month-day", None),
    ("1970-01-01 25:00", "year-month-day", None),
    ("1970/01-02", "year-month-day", None),
    ("13:00 PM", "year-month-day", None),
    ("yesterday", "year-month-day", None),
])  # fmt: skip
def test_days_since_1970(cell, form, value):
    assert days(cell, form) == pytest.approx(value) if value is not None else days(cell, form) is None


@pytest.mark.parametrize(("cells", "form", "sure"), [
    (["2020-01-02", "2020-01-13"], "year-month-day", True),
    (["01/02/2020", "13/02/2020"], "day-month-year", True),
    (["01/02/2020", "02/13/2020"], "month-day-year", True),
    (["01.02.2020", "02.02.2020"], "day-month-year", True),
    (["01/03/2020", "03/01/2020", "02/02/2020"], "month-day-year", False),
    (["05/01/2020", "06/01/2020", "01/02/2020"], "day-month-year", True),  # in order only so
    (["2020-01", "2020-02"], "year-month", True),
    (["Jan 2020", "Feb 2020"], "month year", True),
])  # fmt: skip
def test_how_dates_are_written(cells, form, sure):
    found = guess_dates("x", cells)
    assert (found.name, found.sure) == (form, sure)


def test_what_are_no_dates():
    for cells in (["2020-01-02", "soon"], ["20200102", "20200103"], ["1.2", "1.3"], ["2020-01-02"], ["10:30", "11:00"],
                  ["1.2.3", "1.2.4"], ["may", "june"], ["1.2020", "2.2021"], ["12-3456", "11-3456"]):  # fmt: skip
        assert guess_dates("x", cells) is None
    assert guess_dates("date", ["20200102", "20200103"]).name == "yearmonthday"


def test_what_databases_and_pandas_write_for_a_missing_value():
    made = table(when=["2020-01-06", "NaT", "0000-00-00", "2020-03-09"], x=["1.5", "\\N", "2", "3"], y=["a", "b", "a", "\\N"],
                 name=["Nat", "Bob", "Nat", "Bob"])  # fmt: skip
    assert guess_column(made, "when").kind == "date"
    assert guess_column(made, "x").kind == "numeric"
    assert "missing" not in guess_column(made, "name").why
    assert known_targets(made, "y") == [0, 1, 2]


def test_order_in_time():
    assert in_order(np.array([1.0, 2.0, 2.0, 3.0]))
    assert in_order(np.array([3.0, np.nan, 2.0, 1.0]))
    assert not in_order(np.array([1.0, 3.0, 2.0]))
    assert not in_order(np.array([1.0, 1.0, 2.0]))  # too few to tell


def test_a_date_is_said_and_learned_from():
    when = ["2020-01-06", "2020-01-07", "", "2020-03-09"]  # Monday, Tuesday, Monday
    made = table(when=when, y=["a", "b", "a", "b"])
    guess = guess_column(made, "when")
    assert guess.kind == "date"
    assert "'2020-01-06', year-month-day, 1 missing" in guess.why
    prepare = TablePreprocessor("y").fit(made)
    assert prepare.outputs == ["when", "when sine of month", "when cosine of month", "when sine of weekday",
                               "when cosine of weekday", "when is missing"]  # fmt: skip
    x = prepare.transform(made)
    ages = np.array([18267.0, 18268.0, 18268.0, 18330.0])
    np.testing.assert_allclose(x[:, 0], (ages - ages.mean()) / ages.std(), rtol=1e-5)
    np.testing.assert_allclose(x[:, 1], np.sin(2 * np.pi * np.array([0, 0, 0, 2]) / 12), atol=1e-6)
    np.testing.assert_allclose(x[:, 4], np.cos(2 * np.pi * np.array([0, 1, 1, 0]) / 7), atol=1e-6)
    assert x[:, 5].tolist() == [0, 0, 1, 0]
    state = json.loads(json.dumps(prepare.state()))
    np.testing.assert_array_equal(TablePreprocessor.from_state(state).transform(made), x)
    with pytest.raises(DataError, match=r"line 3, column 'when': '07\.01\.2020' is no date written as year-month-day"):
        prepare.transform(table(when=["2020-01-06", "07.01.2020"]))
    for change in ({"format": "?"}, {"parts": ["minute"]}, {"std": 0.0}):
        with pytest.raises(ValueError, match="was damaged or edited"):
            TablePreprocessor.from_state({**state, "columns": [{**state["columns"][0], **change}]})


def test_hours_of_a_day():
    made = table(t=["2020-01-01 00:00", "2020-01-01 06:00", "2020-01-01 18:00"], y=["a", "b", "a"])
    prepare = TablePreprocessor("y").fit(made)
    assert prepare.outputs == ["t", "t sine of hour", "t cosine of hour"]
    np.testing.assert_allclose(prepare.transform(made)[:, 1], [0, 1, -1], atol=1e-6)


def test_texts_that_identify_a_row():
    for name, cells, kind in (
        ("customer_id", ["C1", "C2", "C3"], "id"), ("userID", ["a-1", "b-2", "c-3"], "id"),
        ("customer_id", ["C1", "C2", "C1"], "categorical"), ("plan", ["C1", "C2", "C3"], "categorical"),
    ):  # fmt: skip
        assert guess_column(table(**{name: cells}), name).kind == kind


def test_very_many_columns_are_summed_up():
    made = table(**{f"p{i}": [i, 1, 2] for i in range(200)}, y=["a", "b", "a"])
    lines = TablePreprocessor("y").fit(made).describe()
    assert len(lines) == 61
    assert lines[-1] == "and 140 more columns: 140 numeric"
