"""Recurrent layers and tables: equal to PyTorch, right by finite differences, the same on every backend."""

from pathlib import Path

import numpy as np
import pytest

import xpnet
from tests.nn.sequences import RECURRENT, TABLES
from tests.support.standin import no_traffic
from xpnet import nn, ops
from xpnet.nn import functional as F
from xpnet_backends import get_backend

RECORDED = np.load(Path(__file__).parent.parent / "fixtures/sequences.npz", allow_pickle=False)
NUMPY = get_backend("numpy")


def by_name(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def make(case, backend, dtype="float64"):
    """The layer with the recorded parameters."""
    layer = getattr(nn, case.layer)(*case.arguments, **case.options)
    state = {key: case.values(key, value.shape) for key, value in layer.state_dict().items()}
    layer.to(backend=backend, dtype=dtype)
    layer.load_state_dict(state)
    return layer


def leaf(backend, values, dtype="float64"):
    return xpnet.Tensor(backend.asarray(values.astype(dtype)), requires_grad=True)


def flat(y):
    """The tensors of a result, nested or not."""
    return [t for part in y for t in flat(part)] if isinstance(y, tuple) else [y]


def run(case, layer, x, states, lengths=None):
    hx = None if not states else states[0] if len(states) == 1 else tuple(states)
    return flat(layer(x, hx) if lengths is None else layer(x, hx, lengths=lengths))


def backpropagate(case, backend, outputs, dtype="float64"):
    weights = [backend.asarray(case.values(f"dy {i}", y.shape).astype(dtype)) for i, y in enumerate(outputs)]
    terms = [(y * w).sum() for y, w in zip(outputs, weights, strict=True)]
    sum(terms[1:], terms[0]).backward()


def answers(case, backend, dtype="float64", training=True):
    """Outputs, last states, and the gradients of input, initial states and parameters."""
    layer = make(case, backend, dtype).train(training)
    x, states = leaf(backend, case.values("x", case.shape), dtype), [leaf(backend, s, dtype) for s in case.initial()]
    lengths = None if case.lengths is None else backend.asarray(np.array(case.lengths))
    outputs = run(case, layer, x, states, lengths)
    backpropagate(case, backend, outputs, dtype)
    nothing = backend.xp.zeros(case.shape, dtype=dtype)  # all of x was dropped
    gradients = [nothing if t.grad is None else t.grad for t in (x, *states, *layer.parameters())]
    return [*(y.data for y in outputs), *gradients]


def check(found, expected, backend, **tolerance):
    start = 0
    for i, value in enumerate(found):
        part = expected[start : start + value.size].reshape(value.shape)
        np.testing.assert_allclose(backend.to_numpy(value), part, **tolerance, err_msg=f"answer {i}")
        start += value.size
    assert start == expected.size


def test_the_recorded_answers_are_those_of_the_table():
    names = [case.name for case in (*RECURRENT, *TABLES)]
    assert len(set(names)) == len(names)
    assert set(names) == {key.partition("/")[0] for key in RECORDED.files} - {"torch"}


# -- recurrent layers ------------------------------------------------------------------------------------------------


@by_name(RECURRENT)
def test_equal_to_pytorch(case, backend):
    assert list(make(case, backend).state_dict()) == str(RECORDED[f"{case.name}/keys"]).split()
    check(answers(case, backend), RECORDED[case.name], backend, rtol=1e-10, atol=1e-13)
    if "dropout" in case.options:
        check(answers(case, backend, training=False), RECORDED[f"{case.name}/eval"], backend, rtol=1e-10, atol=1e-13)


@by_name(RECURRENT)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float16", 2e-2)])
def test_dtypes_are_closed(case, dtype, tolerance):
    found = answers(case, NUMPY, dtype)
    assert {a.dtype for a in found} == {np.dtype(dtype)}
    check(found, RECORDED[case.name], NUMPY, rtol=10 * tolerance, atol=2 * tolerance)


@by_name([case for case in RECURRENT if case.states and "dropout" not in case.options])
def test_gradients(case):
    layer = make(case, NUMPY)
    lengths = None if case.lengths is None else np.array(case.lengths)
    error = xpnet.gradcheck(
        lambda x, *states: tuple(run(case, layer, x, list(states), lengths)),
        case.values("x", case.shape), *case.initial(), parameters=list(layer.parameters()), directions=1, tolerance=1e-5,
    )  # fmt: skip
    assert error < 1e-5


@by_name(RECURRENT)
def test_a_step_on_a_device_makes_no_traffic(case):
    device = get_backend("standin")
    layer = make(case, device, "float32")
    x, states = (
        leaf(device, case.values("x", case.shape), "float32"),
        [leaf(device, s, "float32") for s in case.initial()],
    )
    lengths = None if case.lengths is None else device.asarray(np.array(case.lengths))
    with no_traffic():
        y = run(case, layer, x, states, lengths)
        (y[0] * y[0]).sum().backward()
    assert np.isfinite(device.to_numpy(layer.weight_ih.grad if "Cell" in case.layer else layer.weight_ih_l0.grad)).all()


LAYERS = pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])


@LAYERS
def test_ragged_sequences_are_those_alone(name, backend):
    """In one batch with lengths, or each by itself without padding: the same outputs, states and gradients."""
    rng = np.random.default_rng(0)
    layer = getattr(nn, name)(3, 4, num_layers=2, bidirectional=True, batch_first=True, dtype="float64")
    lengths, batch = [6, 1, 4], rng.standard_normal((3, 6, 3))
    for n, length in enumerate(lengths):
        batch[n, length:] = np.nan  # what is beyond the end never counts
    x = leaf(backend, batch)
    y, last = layer(x, lengths=backend.asarray(np.array(lengths)))
    last = last if name == "LSTM" else (last,)
    (y * y).sum().backward()
    together = [backend.to_numpy(p.grad) for p in layer.parameters()]
    layer.zero_grad()
    for n, length in enumerate(lengths):
        alone = leaf(backend, batch[n, :length])
        y_alone, last_alone = layer(alone)
        (y_alone * y_alone).sum().backward()
        np.testing.assert_allclose(y.numpy()[n, :length], y_alone.numpy(), rtol=1e-12)
        assert not y.numpy()[n, length:].any()
        for s, s_alone in zip(last, flat(last_alone), strict=True):
            np.testing.assert_allclose(s.numpy()[:, n], s_alone.numpy(), rtol=1e-12)
        dx = backend.to_numpy(x.grad)[n]
        np.testing.assert_allclose(dx[:length], backend.to_numpy(alone.grad), rtol=1e-11, atol=1e-15)
        assert not dx[length:].any()
    for a, p in zip(together, layer.parameters(), strict=True):
        np.testing.assert_allclose(a, backend.to_numpy(p.grad), rtol=1e-11, atol=1e-14)


@LAYERS
def test_a_sequence_may_be_continued(name):
    """The last state of one half is the first of the other; a cell, step by step, comes to the same."""
    x = xpnet.tensor(np.random.default_rng(0).standard_normal((6, 2, 3)), dtype="float64")
    layer, cell = getattr(nn, name)(3, 4, dtype="float64"), getattr(nn, f"{name}Cell")(3, 4, dtype="float64")
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in layer.state_dict().items()})
    whole, last = layer(x)
    first, middle = layer(x[:3])
    second, end = layer(x[3:], middle)
    np.testing.assert_allclose(np.concatenate([first.numpy(), second.numpy()]), whole.numpy(), rtol=1e-12)
    state = None
    for t in range(6):
        state = cell(x[t], state)
    for a, b, c in zip(flat(last), flat(end), flat(state), strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-12)
        np.testing.assert_allclose(c.numpy(), a.numpy()[0], rtol=1e-12)


@LAYERS
@pytest.mark.parametrize("reverse", [False, True])
def test_a_backward_changes_nothing_and_may_run_again(name, reverse):
    op, gates = getattr(ops, name.lower()), {"RNN": 1, "LSTM": 4, "GRU": 3}[name]
    rng, states = np.random.default_rng(0), 2 if name == "LSTM" else 1
    shapes = (5, 2, 3), *[(2, 4)] * states, (4 * gates, 3), (4 * gates, 4), (4 * gates,), (4 * gates,)
    given = [*(rng.standard_normal(shape) for shape in shapes), np.array([2, 5])]
    copies = [a.copy() for a in given]
    (y, *last), backward = op(np, *given, reverse=reverse)
    dys = (np.ones_like(y), *[np.ones_like(s) for s in last])
    first = [g.copy() for g in backward(dys)]
    for a, b in zip(backward(dys), first, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(given, copies, strict=True):
        np.testing.assert_array_equal(a, b)
    assert all((dy == 1.0).all() for dy in dys)
    assert [g.shape for g in first] == [a.shape for a in given[:-1]]


@LAYERS
def test_a_batch_without_sequences(name, backend):
    layer = getattr(nn, name)(3, 4)
    x = leaf(backend, np.zeros((5, 0, 3)), "float32")
    y, _ = layer(x)
    y.sum().backward()
    assert y.shape == (5, 0, 4)
    assert x.grad.shape == (5, 0, 3)
    assert not backend.to_numpy(layer.weight_hh_l0.grad).any()


@LAYERS
def test_large_inputs_saturate_without_warnings(name):
    layer = getattr(nn, name)(2, 3)
    x = leaf(NUMPY, np.array([[[1e4, -1e4]], [[-1e30, 1e30]]]), "float32")
    y, _ = layer(x)
    y.sum().backward()
    assert np.isfinite(y.numpy()).all()
    assert np.isfinite(x.grad).all()


def test_gradients_only_where_asked():
    layer = nn.LSTM(2, 3)
    layer.weight_hh_l0.requires_grad = False
    layer(np.ones((4, 1, 2), "f"))[1][1].sum().backward()  # the last c alone
    assert layer.weight_hh_l0.grad is None
    assert layer.weight_ih_l0.grad.shape == (12, 2)


@LAYERS
def test_a_weight_that_needs_no_gradient_gets_none(name, backend):
    op, gates = getattr(ops, name.lower()), {"RNN": 1, "LSTM": 4, "GRU": 3}[name]
    states = 2 if name == "LSTM" else 1
    shapes = (5, 2, 3), *[(2, 4)] * states, (4 * gates, 3), (4 * gates, 4)
    given = [backend.asarray(np.full(shape, 0.1)) for shape in shapes]
    (y, *last), backward = op(backend.xp, *given)
    dys = (y, *[None] * len(last))
    every, some = backward(dys), backward(dys, (False, *[True] * states, False, False, False, False))
    assert [g is None for g in some] == [True, *[False] * states, True, True, True, True]
    for k in range(1, 1 + states):
        np.testing.assert_array_equal(backend.to_numpy(some[k]), backend.to_numpy(every[k]))


def test_changed_outputs_are_noticed():
    layer = nn.RNN(2, 3)
    y, _ = layer(np.ones((4, 1, 2), "f"))
    with xpnet.no_grad():
        y[0] = 5.0
    with pytest.raises(RuntimeError, match="'rnn' saved for its backward was changed in place"):
        y.sum().backward()


def test_nothing_is_kept_that_the_backward_does_not_need():
    """x and the initial states were copied: they may change."""
    x, h, c = (xpnet.tensor(np.ones(shape, "f")) for shape in ((4, 1, 2), (1, 1, 3), (1, 1, 3)))
    y, _ = nn.LSTM(2, 3)(x, (h, c))
    for t in (x, h, c):
        t[...] = 5.0
    y.sum().backward()
    bag = nn.EmbeddingBag(4, 3, mode="sum")
    y = bag([[1, 2]])
    with xpnet.no_grad():
        bag.weight[0] = 1.0
    y.sum().backward()
    assert bag.weight.grad.sum() == 6


def test_dropout_is_between_layers_and_differs_by_layer():
    x = np.ones((3, 2, 4), "f")
    layer = nn.GRU(4, 5, num_layers=3, dropout=0.5)
    a, b = layer(x)[0].numpy(), layer(x)[0].numpy()
    assert (a != b).any()
    layer.eval()
    np.testing.assert_array_equal(layer(x)[0].numpy(), layer(x)[0].numpy())
    with pytest.warns(
        UserWarning, match=r"GRU: dropout=0\.5 acts between layers, but there is one: give num_layers > 1"
    ):
        nn.GRU(4, 5, dropout=0.5)


def test_start_and_repr():
    layer = nn.LSTM(10, 64, num_layers=2, bidirectional=True)
    for parameter in layer.parameters():
        assert 0.1 < abs(parameter.numpy()).max() * 8 <= 1.0
    assert repr(layer) == "LSTM(10, 64, num_layers=2, bidirectional=True)"
    assert repr(nn.GRUCell(2, 3, bias=False)) == "GRUCell(2, 3, bias=False)"


X = np.zeros((5, 2, 3), "f")


@pytest.mark.parametrize(("make_and_run", "match"), [
    (lambda: nn.LSTM(3, 0), "LSTM: hidden_size must be a positive whole number, got 0"),
    (lambda: nn.GRU(3, 4, num_layers=0), "GRU: num_layers must be a positive whole number, got 0"),
    (lambda: nn.GRU(3, 4, num_layers=2, dropout=1.5), "GRU: dropout must be a probability between 0 and 1, got 1.5"),
    (lambda: nn.RNN(3, 4, nonlinearity="elu"), "RNN: nonlinearity must be 'tanh' or 'relu', got 'elu'"),
    (lambda: nn.RNNCell(3, 4, nonlinearity="elu"), "RNNCell: nonlinearity must be 'tanh' or 'relu', got 'elu'"),
    (lambda: nn.LSTM(4, 2)(X), r"expected input of shape \(T, N, 4\) or \(T, 4\), got \(5, 2, 3\)"),
    (lambda: nn.LSTM(4, 2, batch_first=True)(X), r"expected input of shape \(N, T, 4\) or \(T, 4\), got \(5, 2, 3\)"),
    (lambda: nn.GRU(3, 2)(X[0, 0]), r"expected input of shape .* got \(3,\)"),
    (lambda: nn.GRU(3, 2)(X[:0]), r"a sequence needs at least one step, got input of shape \(0, 2, 3\)"),
    (lambda: nn.LSTM(3, 4)(X, np.zeros((1, 2, 4), "f")), r"hx must be the pair \(h0, c0\), got ndarray"),
    (lambda: nn.LSTM(3, 4)(X, (np.zeros((1, 2, 4), "f"),) * 3), r"hx must be the pair \(h0, c0\), got tuple"),
    (lambda: nn.LSTM(3, 4)(X, (np.zeros((1, 2, 4), "f"), np.zeros((1, 1, 4), "f"))), r"expected c0 of shape \(1, 2, 4\), got \(1, 1, 4\)"),
    (lambda: nn.GRU(3, 4, bidirectional=True)(X, np.zeros((1, 2, 4), "f")), r"expected h0 of shape \(2, 2, 4\), got \(1, 2, 4\)"),
    (lambda: nn.GRU(3, 4)(X[:, 0], np.zeros((1, 2, 4), "f")), r"expected h0 of shape \(1, 4\), got \(1, 2, 4\)"),
    (lambda: nn.GRU(3, 4)(X, lengths=[5, 6]), r"lengths must lie in 1..5, the steps of the input, got 5..6"),
    (lambda: nn.GRU(3, 4)(X, lengths=[0, 5]), r"lengths must lie in 1..5, .* got 0..5"),
    (lambda: nn.GRU(3, 4)(X, lengths=[1, 2, 3]), r"lengths must be 2 whole numbers, one per sequence, got int64\(3,\)"),
    (lambda: nn.GRU(3, 4)(X, lengths=np.ones(2)), r"lengths must be 2 whole numbers, one per sequence, got float64\(2,\)"),
    (lambda: nn.GRU(3, 4)(X[:, 0], lengths=[3]), r"lengths are for batches: a single sequence of shape \(5, 3\)"),
    (lambda: nn.LSTMCell(3, 4)(X), r"expected input of shape \(N, 3\) or \(3,\), got \(5, 2, 3\)"),
    (lambda: nn.GRUCell(3, 4)(X[0], np.zeros((3, 4), "f")), r"expected h0 of shape \(2, 4\), got \(3, 4\)"),
    (lambda: F.rnn(X, np.zeros((2, 4), "f"), np.zeros((4, 3), "f"), np.zeros((4, 4), "f"), nonlinearity="elu"), "rnn: nonlinearity must be"),
    (lambda: F.rnn(X, np.zeros((1, 4), "f"), np.zeros((4, 3), "f"), np.zeros((4, 4), "f")), r"rnn: expected an initial state of shape \(2, 4\), got \(1, 4\)"),
    (lambda: F.gru(X, np.zeros((2, 4), "f"), np.zeros((12, 3), "f"), np.zeros((4, 4), "f")), r"gru: weight_hh must be \(3·H, H\) beside weight_ih \(12, 3\), got \(4, 4\)"),
    (lambda: F.gru(X, np.zeros((2, 4), "f"), np.zeros((12, 5), "f"), np.zeros((12, 4), "f")), r"gru: expected input of shape \(T, N, 5\), got \(5, 2, 3\)"),
    (lambda: F.gru(X, np.zeros((2, 4), "f"), np.zeros((12, 3), "f"), np.zeros((12, 4), "f"), np.zeros(12, "f")), "gru: give both biases or none"),
])  # fmt: skip
def test_errors(make_and_run, match):
    with pytest.raises(ValueError, match=match):
        make_and_run()


def test_two_dtypes_are_named():
    with pytest.raises(TypeError, match="lstm: input is float64, weights float32: convert one"):
        nn.LSTM(3, 4)(X.astype("d"))
    with pytest.raises(TypeError, match="LSTM: expected floating-point input, got int64"):
        nn.LSTM(3, 4)(np.zeros((5, 2, 3), int))


# -- tables ----------------------------------------------------------------------------------------------------------


def table_answers(case, backend, dtype="float64"):
    layer, further, weights = make(case, backend, dtype), [], None
    if case.layer == "EmbeddingBag":
        offsets = None if case.offsets is None else backend.asarray(np.array(case.offsets))
        weights = leaf(backend, case.values("weights", case.shape), dtype) if case.weighted else None
        further = [offsets, weights]
    y = layer(backend.asarray(np.array(case.numbers)), *further)
    y.backward(backend.asarray(case.values("dy", y.shape).astype(dtype)))
    return [y.data, layer.weight.grad, *([] if weights is None else [weights.grad])]


@by_name(TABLES)
def test_tables_are_equal_to_pytorch(case, backend):
    check(table_answers(case, backend), RECORDED[case.name], backend, rtol=1e-12, atol=1e-14)


@by_name(TABLES)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_tables_are_closed_in_dtype(case, dtype):
    found = table_answers(case, NUMPY, dtype)
    assert {a.dtype for a in found} == {np.dtype(dtype)}
    check(found, RECORDED[case.name], NUMPY, rtol=1e-2, atol=5e-3)


@by_name([case for case in TABLES if case.options.get("padding_idx") is None])
def test_table_gradients(case):
    layer = make(case, NUMPY)
    further = [] if case.offsets is None else [np.array(case.offsets)]
    numbers = np.array(case.numbers)
    if case.weighted:
        check_it = lambda w: layer(numbers, *(further or [None]), w)  # noqa: E731
        assert xpnet.gradcheck(check_it, case.values("weights", case.shape), parameters=[layer.weight]) < 1e-6
    else:
        assert xpnet.gradcheck(lambda: layer(numbers, *further), parameters=[layer.weight]) < 1e-6


@by_name(TABLES)
def test_tables_make_no_traffic(case):
    device = get_backend("standin")
    layer = make(case, device, "float32")
    numbers = device.asarray(np.array(case.numbers))
    offsets = None if case.offsets is None else device.asarray(np.array(case.offsets))
    weights = leaf(device, case.values("weights", case.shape), "float32") if case.weighted else None
    further = [] if case.layer == "Embedding" else [offsets, weights]
    with no_traffic():
        layer(numbers, *further).sum().backward()
    assert layer.weight.grad.shape == (6, 3)


def test_the_row_of_padding_starts_as_zeros():
    layer = nn.Embedding(5, 3, padding_idx=-2)
    assert layer.padding_idx == 3
    assert [bool(row.any()) for row in layer.weight.numpy()] == [True, True, True, False, True]
    assert repr(layer) == "Embedding(5, 3, padding_idx=3)"
    assert repr(nn.EmbeddingBag(5, 3, mode="max")) == "EmbeddingBag(5, 3, mode='max')"
    assert nn.Embedding(400, 50).weight.numpy().std() == pytest.approx(1.0, abs=0.02)


def test_a_table_from_given_values(backend):
    values = backend.asarray(np.arange(6.0).reshape(3, 2))
    layer = nn.Embedding.from_pretrained(values, padding_idx=0)
    assert not layer.weight.requires_grad
    assert layer(backend.asarray(np.array([2, 0]))).numpy().tolist() == [[4.0, 5.0], [0.0, 1.0]]
    assert nn.EmbeddingBag.from_pretrained(values, freeze=False, mode="sum").weight.requires_grad
    with pytest.raises(ValueError, match=r"Embedding: expected a table \(V, D\), got shape \(3,\)"):
        nn.Embedding.from_pretrained(values[:, 0])


def test_no_numbers_no_rows(backend):
    layer = nn.Embedding(4, 3)
    y = layer(backend.asarray(np.zeros((2, 0), int)))
    y.sum().backward()
    assert y.shape == (2, 0, 3)
    assert not backend.to_numpy(layer.weight.grad).any()
    for mode in ("sum", "mean", "max"):
        assert (
            nn.EmbeddingBag(4, 3, mode=mode)(backend.asarray(np.zeros((2, 0), int))).numpy().tolist() == [[0.0] * 3] * 2
        )


@pytest.mark.parametrize(("error", "make_and_run", "match"), [
    (ValueError, lambda: nn.Embedding(0, 3), "Embedding: num_embeddings must be a positive whole number, got 0"),
    (ValueError, lambda: nn.Embedding(4, 3, padding_idx=4), r"Embedding: padding_idx must lie in -4..3, got 4"),
    (ValueError, lambda: nn.Embedding(4, 3)(np.array([1, 4])), r"indices must lie in 0..3, the rows of the table, got 1..4"),
    (TypeError, lambda: nn.Embedding(4, 3)(np.ones(2)), r"indices must be whole numbers, got float64: convert them"),
    (ValueError, lambda: F.embedding([0], xpnet.tensor(np.ones((2, 2))), padding_idx=-3), r"padding_idx must lie in -2..1, got -3"),
    (ValueError, lambda: nn.EmbeddingBag(4, 3, mode="min"), "EmbeddingBag: mode must be 'sum', 'mean' or 'max', got 'min'"),
    (ValueError, lambda: F.embedding_bag([0], xpnet.tensor(np.ones((2, 2))), [0], mode="min"), "embedding_bag: mode must be"),
    (ValueError, lambda: nn.EmbeddingBag(4, 3)([1, 2]), r"expected input \(N, L\), or \(M,\) with offsets \(N,\), got \(2,\)"),
    (ValueError, lambda: nn.EmbeddingBag(4, 3)([[1, 2]], [0]), "each row is a bag: leave offsets out"),
    (ValueError, lambda: nn.EmbeddingBag(4, 3)([1, 2], [0, 3]), r"offsets must rise from 0 to at most 2, got \[0, 3\]"),
    (ValueError, lambda: nn.EmbeddingBag(4, 3)([1, 2], [1]), r"offsets must rise from 0 to at most 2, got \[1\]"),
    (ValueError, lambda: nn.EmbeddingBag(4, 3)([1, 2], [0.5]), r"offsets must be whole numbers \(N,\), got float64\(1,\)"),
    (ValueError, lambda: nn.EmbeddingBag(4, 3)([[1]], None, np.ones((1, 1), "f")), "per_sample_weights are for mode='sum', got mode='mean'"),
    (ValueError, lambda: nn.EmbeddingBag(4, 3, mode="sum")([[1]], None, np.ones(1, "f")), r"must have the input's shape \(1, 1\), got \(1,\)"),
])  # fmt: skip
def test_table_errors(error, make_and_run, match):
    with pytest.raises(error, match=match):
        make_and_run()


def test_one_hot(backend):
    labels = backend.asarray(np.array([[0, 2], [1, 1]]))
    expected = np.eye(3)[[[0, 2], [1, 1]]]
    np.testing.assert_array_equal(F.one_hot(labels).numpy(), expected)
    np.testing.assert_array_equal(F.one_hot(labels, 4).numpy()[..., :3], expected)
    with pytest.raises(ValueError, match=r"one_hot: num_classes is needed for labels float64\(2,\)"):
        F.one_hot(np.ones(2))
