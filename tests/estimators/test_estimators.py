"""The estimators keep scikit-learn's contract, and what they say of themselves."""

import copy
import decimal
import enum
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip(
    "sklearn", minversion="1.6", reason="these are scikit-learn's estimators: pip install 'xpnet[sklearn]'"
)

from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import xpnet
from tests.support.process import environment, python
from xpnet import nn, optim
from xpnet.serialization import CheckpointError
from xpnet.sklearn import XPClassifier, XPRegressor
from xpnet_backends import random

X, Y = make_classification(120, 6, n_informative=4, n_classes=3, random_state=0)
XR, YR = make_regression(100, 5, noise=0.1, random_state=0)
YR = YR / YR.std()


CONTRACT = parametrize_with_checks([XPClassifier(), XPRegressor()])


@pytest.mark.parametrize(CONTRACT.args[0], list(CONTRACT.args[1]), **CONTRACT.kwargs)  # pytest warns of a generator
def test_the_whole_contract(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's checks provoke its own warnings
        check(estimator)
    assert not hasattr(estimator, "model_"), "the checks work on copies"


def quick(**options):
    return XPClassifier(**{"hidden_layer_sizes": (16,), "lr": 0.02, "epochs": 30, "random_state": 0, **options})


def weights(estimator):
    return np.concatenate([value.ravel() for value in estimator.model_.state_dict().values()])


# -- with others -----------------------------------------------------------------------------------------------------


def test_pipeline_cross_validation_and_search():
    pipe = make_pipeline(StandardScaler(), quick())
    assert cross_val_score(pipe, X, Y, cv=3).mean() > 0.7
    search = GridSearchCV(pipe, {"xpclassifier__lr": [1e-6, 0.02], "xpclassifier__activation": ["relu", "tanh"]}, cv=2)
    search.fit(X, Y)
    assert search.best_params_["xpclassifier__lr"] == 0.02
    assert search.best_estimator_.score(X, Y) > 0.75
    regressor = TransformedTargetRegressor(
        XPRegressor((32,), lr=0.02, epochs=60, random_state=0), transformer=StandardScaler()
    )
    assert cross_val_score(regressor, XR, YR, cv=2).mean() > 0.8


def test_a_grid_search_in_threads_finds_what_one_without_finds():
    joblib = pytest.importorskip("joblib")
    x, y = make_classification(120, 8, random_state=0)
    scores = []
    for jobs in (1, 2):
        few = XPClassifier((16,), epochs=6, dropout=0.4, batch_size=8, random_state=0)
        search = GridSearchCV(few, {"lr": [0.003, 0.01, 0.03], "dropout": [0.2, 0.5]}, cv=2, n_jobs=jobs)
        with joblib.parallel_backend("threading"):
            search.fit(x, y)
        scores.append((search.cv_results_["mean_test_score"], search.best_estimator_.predict_proba(x)))
    np.testing.assert_array_equal(scores[0][0], scores[1][0])
    np.testing.assert_array_equal(scores[0][1], scores[1][1])


def test_class_names_and_data_frames_of_names():
    names = np.array(["red", "green", "blue"])[Y]
    made = quick().fit(X, names)
    assert made.classes_.tolist() == ["blue", "green", "red"]
    assert set(made.predict(X)) <= set(names)
    np.testing.assert_allclose(made.predict_proba(X).sum(axis=1), 1.0)
    assert made.predict_proba(X).argmax(axis=1).tolist() == np.searchsorted(made.classes_, made.predict(X)).tolist()
    assert made.score(X, names) > 0.8


def test_several_values_a_sample():
    both = np.stack([YR, -YR], axis=1)
    made = XPRegressor((32,), lr=0.02, epochs=80, random_state=0).fit(XR, both)
    assert made.predict(XR).shape == both.shape
    assert made.score(XR, both) > 0.9
    assert XPRegressor(epochs=1).fit(XR, YR).predict(XR).shape == (100,)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_computes_in_the_dtype_of_the_data(backend, dtype):
    made = quick(epochs=3, backend=backend.name).fit(X.astype(dtype), Y)
    assert {p.data.dtype for p in made.model_.parameters()} == {np.dtype(dtype)}
    assert {p.backend.name for p in made.model_.parameters()} == {backend.name}
    assert isinstance(made.predict(X), np.ndarray)
    assert made.predict_proba(X).dtype == dtype
    values = XPRegressor(epochs=2, backend=backend.name, early_stopping=True).fit(XR.astype(dtype), YR)
    assert values.predict(XR).dtype == dtype


def test_backends_agree():
    results = [quick(epochs=5, dropout=0.2, backend=name).fit(X, Y).predict_proba(X) for name in ("numpy", "standin")]
    np.testing.assert_allclose(*results, rtol=1e-9)


# -- fitting ---------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_network_and_leaves_the_global_stream_alone():
    xpnet.manual_seed(5)
    expected = random.state.next("x").uniform(xpnet.get_backend("numpy"), (3,))
    xpnet.manual_seed(5)
    one, two, other = (quick(dropout=0.3, random_state=seed).fit(X, Y) for seed in (1, 1, 2))
    np.testing.assert_array_equal(weights(one), weights(two))
    assert not np.array_equal(weights(one), weights(other))
    np.testing.assert_array_equal(random.state.next("x").uniform(xpnet.get_backend("numpy"), (3,)), expected)
    assert random.state.step == 0


def test_partial_fit_again_and_again_is_fit():
    whole = quick(epochs=4, dropout=0.2, batch_size=32).fit(X, Y)
    parts = quick(dropout=0.2, batch_size=32)
    for _ in range(4):
        parts.partial_fit(X, Y, classes=[0, 1, 2])
    np.testing.assert_array_equal(weights(whole), weights(parts))
    assert parts.n_iter_ == 4
    assert parts.history_["epoch"] == [1, 2, 3, 4]
    whole, parts = XPRegressor(epochs=2, random_state=0).fit(XR, YR), XPRegressor(random_state=0)
    parts.partial_fit(XR, YR).partial_fit(XR, YR)
    np.testing.assert_array_equal(weights(whole), weights(parts))


def test_partial_fit_of_some_classes():
    made = quick()
    with pytest.raises(ValueError, match="the first call of partial_fit needs classes"):
        made.partial_fit(X, Y)
    made.partial_fit(X[Y == 1], Y[Y == 1], classes=[0, 1, 2])
    assert made.predict_proba(X).shape == (120, 3)
    with pytest.raises(ValueError, match=r"were not there at first: \[7\], not among \[0 1 2\]"):
        made.partial_fit(X[:2], [1, 7])
    with pytest.raises(ValueError, match=r"classes \[0 1\] are not those of the first call, \[0 1 2\]"):
        made.partial_fit(X, Y, classes=[0, 1])


def test_warm_start_goes_on():
    warm = quick(epochs=5, warm_start=True).fit(X, Y)
    warm.set_params(epochs=3, lr=0.0).fit(X, Y)
    before = weights(quick(epochs=5).fit(X, Y))
    np.testing.assert_array_equal(weights(warm), before)
    assert warm.n_iter_ == 8
    with pytest.raises(ValueError, match="classes that were not there at first"):
        warm.fit(X, Y + 1)
    assert quick(epochs=5).fit(X, Y).fit(X, Y).n_iter_ == 5
    two = XPRegressor(epochs=1, warm_start=True).fit(XR, YR)
    with pytest.raises(ValueError, match="y has 2 columns, it had 1 at first"):
        two.fit(XR, np.stack([YR, YR], axis=1))


def test_early_stopping_takes_the_best_weights():
    made = quick(epochs=500, lr=0.05, early_stopping=True, validation_fraction=0.3, n_iter_no_change=4).fit(X, Y)
    losses = made.history_["val_loss"]
    assert made.n_iter_ == len(losses) < 500
    assert losses[-5] == pytest.approx(min(losses), abs=1e-4)
    assert set(made.history_.columns()) == {"epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr"}
    again = quick(epochs=made.n_iter_ - 4, lr=0.05, early_stopping=True, validation_fraction=0.3, n_iter_no_change=99)
    np.testing.assert_array_equal(weights(again.fit(X, Y)), weights(made))


@pytest.mark.parametrize("make", [quick, lambda **options: XPRegressor(epochs=20, random_state=0, **options)])
def test_a_weight_is_a_number_of_copies(make):
    counts = np.random.default_rng(0).integers(0, 4, len(X))
    weighted = make(batch_size=1000).fit(X, Y, sample_weight=counts)
    repeated = make(batch_size=1000).fit(np.repeat(X, counts, axis=0), np.repeat(Y, counts))
    np.testing.assert_allclose(weights(weighted), weights(repeated), rtol=1e-7)


def test_class_weights():
    few = np.r_[np.flatnonzero(Y == 0)[:4], np.flatnonzero(Y == 1)]
    plain, balanced = (quick(class_weight=kind).fit(X[few], Y[few]) for kind in (None, "balanced"))
    assert (balanced.predict(X[few]) == 0).sum() >= (plain.predict(X[few]) == 0).sum()
    by_hand = np.where(Y == 0, 5.0, 1.0)
    given, named = quick().fit(X, Y, sample_weight=by_hand), quick(class_weight={0: 5.0}).fit(X, Y)
    np.testing.assert_allclose(weights(given), weights(named))


def wide(n_features, n_outputs):
    return nn.Sequential(nn.Linear(n_features, 7), nn.BatchNorm1d(7), nn.Tanh(), nn.Linear(7, n_outputs))


def test_a_model_and_an_optimizer_of_ones_own():
    made = quick(model=wide, optimizer=lambda p, lr, weight_decay: optim.SGD(p, lr, momentum=0.9)).fit(X, Y)
    assert isinstance(made.model_[1], nn.BatchNorm1d)
    assert isinstance(made._optimizer, optim.SGD)
    assert made.score(X, Y) > 0.55
    assert clone(made).model is wide
    assert (
        copy.deepcopy(quick(model=wide).fit(X, Y)).predict(X).tolist()
        == quick(model=wide).fit(X, Y).predict(X).tolist()
    )


def test_verbose_says_a_line_an_epoch(capsys):
    quick(verbose=True, epochs=3).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["epoch", "1"], ["epoch", "2"], ["epoch", "3"]]
    assert "train_loss" in lines[0]


@pytest.mark.parametrize(("options", "match"), [
    ({"hidden_layer_sizes": (3, 0)}, r"hidden_layer_sizes must be positive whole numbers, got \(3, 0\)"),
    ({"hidden_layer_sizes": (2.5,)}, "hidden_layer_sizes"),
    ({"activation": "magic"}, "activation must be one of relu, tanh, .*, got 'magic'"),
    ({"optimizer": "magic"}, "optimizer must be one of sgd, .*, got 'magic'"),
    ({"epochs": 0}, "epochs must be a positive whole number, got 0"),
    ({"epochs": 2.5}, "epochs must be a positive whole number, got 2.5"),
    ({"batch_size": 0}, "batch_size must be a positive whole number, got 0"),
    ({"batch_size": "all"}, "batch_size must be a positive whole number, got 'all'"),
    ({"lr": -1.0}, "lr must be >= 0"),
    ({"dropout": 2.0}, "must be between 0 and 1|probability|dropout"),
    ({"early_stopping": True, "validation_fraction": 3.0}, "test_size"),
])  # fmt: skip
def test_parameters_out_of_range(options, match):
    with pytest.raises(ValueError, match=match):
        quick(**options).fit(X, Y)


def test_a_module_is_no_model_factory():
    with pytest.raises(TypeError, match=r"model must be a function \(n_features, n_outputs\) -> Module"):
        quick(model=nn.Linear(6, 3)).fit(X, Y)


@pytest.mark.parametrize("weight", [-np.ones(120), np.zeros(120)])
def test_weights_that_are_none(weight):
    with pytest.raises(ValueError, match=r"sample_weight must be >= 0|[Nn]egative|zero"):
        quick().fit(X, Y, sample_weight=weight)


def test_no_hidden_layer_is_a_linear_model():
    made = quick(hidden_layer_sizes=()).fit(X, Y)
    assert [type(layer).__name__ for layer in made.model_] == ["Linear"]
    assert len(quick(hidden_layer_sizes=5).fit(X, Y).model_) == 3


# -- keeping ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [Y, np.array(["a", "bcd", "e"])[Y], np.array(["a", "b", "c"], object)[Y], Y == 1])
def test_saved_and_loaded_without_executing_anything(tmp_path, labels):
    made = quick(dropout=0.1, class_weight="balanced").fit(X, labels)
    made.save(tmp_path / "a.safetensors")
    back = XPClassifier.load(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(back.predict_proba(X), made.predict_proba(X))
    assert back.predict(X).tolist() == made.predict(X).tolist()
    assert back.get_params() == made.get_params()
    assert (back.n_iter_, back.n_features_in_, back.history_) == (30, 6, made.history_)
    back.partial_fit(X, labels)
    assert back.n_iter_ == 31


def test_a_regressor_and_what_json_does_not_hold(tmp_path):
    path = tmp_path / "a"
    made = XPRegressor(model=wide, epochs=3, random_state=np.random.RandomState(0)).fit(XR, YR)
    made.save(path)
    with pytest.raises(CheckpointError, match=r"made with functions: give model to load\(\)"):
        XPRegressor.load(path)
    back = XPRegressor.load(path, model=wide, backend="standin")
    np.testing.assert_allclose(back.predict(XR), made.predict(XR))
    assert {p.backend.name for p in back.model_.parameters()} == {"standin"}
    with pytest.raises(CheckpointError, match="it is a XPRegressor, not a XPClassifier"):
        XPClassifier.load(path)
    with pytest.raises(NotFittedError):
        XPRegressor().save(path)


@pytest.mark.parametrize("change", [
    {"classes": [0, 1]}, {"kind": "<U100000000"}, {"kind": "V8"}, {"classes": None}, {"recipe": {}}, {"params": {"x": 1}},
    {"history": 3}, {"features": 5}, {"recipe": {"inputs": 5}}, {"needs": 3}, {"params": None},
], ids=str)  # fmt: skip
def test_edited_files_are_refused(tmp_path, change):
    path = tmp_path / "a"
    quick(epochs=1).fit(X, Y).save(path)
    arrays, metadata = xpnet.serialization.load_with_metadata(path, "numpy")
    about = json.loads(metadata["estimator"])
    for key, value in change.items():
        about[key] = {**about[key], **value} if isinstance(value, dict) and value else value
    xpnet.save(arrays, path, {**metadata, "estimator": json.dumps(about)})
    with pytest.raises(CheckpointError, match="cannot be taken up"):
        XPClassifier.load(path)
    xpnet.save(arrays, path)
    with pytest.raises(CheckpointError, match="is no saved estimator"):
        XPClassifier.load(path)


class Kind(enum.StrEnum):
    TANH = "tanh"


PARAMETERS = [
    {"hidden_layer_sizes": np.int64(16)}, {"hidden_layer_sizes": 16}, {"hidden_layer_sizes": (np.int64(8), 4)},
    {"hidden_layer_sizes": [8, 4]}, {"hidden_layer_sizes": np.array([8, 4])}, {"hidden_layer_sizes": np.array(8)},
    {"hidden_layer_sizes": ()}, {"hidden_layer_sizes": []}, {"lr": np.float32(0.01)}, {"lr": np.float64(0.01)}, {"lr": 1},
    {"dropout": np.float32(0.5)}, {"weight_decay": np.float64(1e-3)}, {"epochs": np.int32(2)}, {"batch_size": np.int64(7)},
    {"batch_size": np.str_("auto")}, {"activation": np.str_("tanh")}, {"activation": Kind.TANH}, {"optimizer": np.str_("sgd")},
    {"early_stopping": np.bool_(True), "n_iter_no_change": np.int64(2), "tol": np.float32(1e-3),
     "validation_fraction": np.float32(0.25)},
    {"tol": -np.inf, "early_stopping": True}, {"warm_start": np.bool_(False)}, {"verbose": np.bool_(False)},
    {"random_state": np.int64(3)}, {"random_state": None}, {"backend": np.str_("numpy")}, {"class_weight": {0: 2.0, 1: 1}},
    {"class_weight": {np.int64(0): np.float32(2.0)}},
]  # fmt: skip


def same(a, b):
    """Equal, and of the same type, down to the parts."""
    if isinstance(a, Kind):
        return a == b
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return type(b) is dict and same(list(a.items()), list(b.items()))
    return type(a) is type(b) and np.array_equal(a, b)


@pytest.mark.parametrize("options", PARAMETERS, ids=repr)
def test_every_plain_parameter_comes_back_as_it_was(tmp_path, options):
    made = quick(**{"epochs": 2, **options}).fit(X, Y)
    made.save(tmp_path / "a")
    back = XPClassifier.load(tmp_path / "a")
    for other in (back, clone(made), copy.deepcopy(made)):
        for name, value in made.get_params().items():
            assert same(value, other.get_params()[name]), name
    np.testing.assert_array_equal(back.predict_proba(X), made.predict_proba(X))
    back.set_params(**made.get_params()).partial_fit(X, Y)
    fresh = clone(made).fit(X, Y)
    if options.get("random_state", 0) is not None:
        np.testing.assert_array_equal(fresh.predict_proba(X), made.predict_proba(X))


@pytest.mark.parametrize("options", [
    {"hidden_layer_sizes": range(3)}, {"hidden_layer_sizes": {8}}, {"lr": decimal.Decimal("0.1")}, {"tol": 1j},
    {"activation": b"relu"}, {"backend": Path("numpy")}, {"class_weight": {0: slice(1)}}, {"verbose": print},
], ids=repr)  # fmt: skip
def test_what_a_file_cannot_hold_is_refused_at_fit(options):
    name = next(iter(options))
    with pytest.raises(TypeError, match=f"XPClassifier: {name} cannot be .* is no plain value"):
        quick(**options).fit(X, Y)


@pytest.mark.parametrize(("options", "message"), [
    ({"hidden_layer_sizes": True}, "hidden_layer_sizes must be positive whole numbers, got True"),
    ({"hidden_layer_sizes": (8, True)}, "hidden_layer_sizes must be positive whole numbers"),
    ({"hidden_layer_sizes": np.float64(8)}, "hidden_layer_sizes must be positive whole numbers"),
    ({"hidden_layer_sizes": "16"}, "hidden_layer_sizes must be positive whole numbers"),
    ({"lr": "0.1"}, "lr must be a number, got '0.1'"),
    ({"lr": True}, "lr must be a number, got True"),
    ({"epochs": True}, "epochs must be a positive whole number, got True"),
    ({"epochs": 2.0}, "epochs must be a positive whole number, got 2.0"),
])  # fmt: skip
def test_parameters_that_mean_nothing(options, message):
    with pytest.raises(ValueError, match=message):
        quick(**options).fit(X, Y)


def test_a_grid_over_an_array(tmp_path):
    grid = {"hidden_layer_sizes": np.array([4, 8]), "lr": np.logspace(-3, -2, 2), "batch_size": np.array([30, 60])}
    best = GridSearchCV(quick(epochs=2), grid, cv=2).fit(X, Y).best_estimator_
    best.save(tmp_path / "a")
    back = XPClassifier.load(tmp_path / "a")
    assert back.get_params() == best.get_params()
    assert type(back.hidden_layer_sizes) is np.int64
    assert back.model_[0].weight.shape[0] == best.hidden_layer_sizes


@pytest.mark.parametrize("labels", [
    np.array([5, 7, 9], np.int8)[Y], np.array([5, 7, 9], ">i4")[Y], np.array([1.0, 2.0, 3.0], np.float32)[Y], Y > 0,
    np.array([2**63, 1, 2], np.uint64)[Y], np.array(["a", "é\ud800", "c"])[Y], [["a", "b", "c"][y] for y in Y],
    [np.str_("abc"[y]) for y in Y], np.array(["a", "b", "c"], object)[Y], [bool(y) for y in Y > 0],
], ids=lambda labels: f"{np.asarray(labels).dtype.str} {type(labels[0]).__name__}")  # fmt: skip
def test_classes_keep_their_dtype(tmp_path, labels):
    made = quick(epochs=1).fit(X, labels)
    made.save(tmp_path / "a")
    back = XPClassifier.load(tmp_path / "a")
    assert back.classes_.dtype == made.classes_.dtype
    assert same(made.classes_.tolist(), back.classes_.tolist())
    assert same(back.predict(X).tolist(), made.predict(X).tolist())


def test_a_file_of_the_first_format(tmp_path):
    """Tuples were lists there, and classes a list and a dtype."""
    path = tmp_path / "a"
    made = quick(epochs=1, hidden_layer_sizes=(8, 4)).fit(X, np.array(["a", "bc", "d"])[Y])
    made.save(path)
    arrays, metadata = xpnet.serialization.load_with_metadata(path, "numpy")
    about = json.loads(metadata["estimator"])
    about["params"]["hidden_layer_sizes"] = about["recipe"]["hidden_layer_sizes"] = [8, 4]
    about |= {"classes": ["a", "bc", "d"], "kind": "<U2"}
    xpnet.save(arrays, path, {"format": "xpnet-estimator-1", "estimator": json.dumps(about)})
    back = XPClassifier.load(path)
    assert same(back.get_params(), made.get_params())
    assert back.predict(X).tolist() == made.predict(X).tolist()


def test_a_loss_that_is_not_finite_in_the_history_is_still_json(tmp_path):
    made = quick(epochs=1).fit(X, Y)
    made.history_.rows[0]["train_loss"] = float("nan")
    made.save(tmp_path / "a")
    _, metadata = xpnet.serialization.load_with_metadata(tmp_path / "a", "numpy")
    json.loads(metadata["estimator"], parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    assert np.isnan(XPClassifier.load(tmp_path / "a").history_["train_loss"][0])


def test_a_copy_goes_on_as_the_original_would():
    made = quick(dropout=0.2, epochs=3).fit(X, Y)
    copied = copy.deepcopy(made)
    made.partial_fit(X, Y)
    copied.partial_fit(X, Y)
    np.testing.assert_array_equal(weights(made), weights(copied))


def test_without_scikit_learn_it_says_what_to_install():
    done = python("-c", "import sys; sys.modules['sklearn'] = None; import xpnet.sklearn", env=environment())
    assert done.returncode != 0
    assert 'xpnet.sklearn needs scikit-learn 1.6 or newer: pip install "xpnet[sklearn]"' in done.stderr
