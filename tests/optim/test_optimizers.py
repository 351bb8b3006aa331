"""Optimizers: PyTorch's steps to rounding, the flat buffers, the state."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xpnet
from tests.optim.cases import CASES, gradients, name_of, start
from tests.support.standin import no_traffic
from xpnet import nn, optim
from xpnet.nn import Parameter
from xpnet_backends import get_backend, random

RECORDED = np.load(Path(__file__).parent.parent / "fixtures/optim.npz", allow_pickle=False)
by_case = pytest.mark.parametrize("case", CASES, ids=name_of)


def parameters(backend, dtype="float64"):
    return {name: Parameter(backend.asarray(value.astype(dtype))) for name, value in start().items()}


def build(case, params):
    return getattr(optim, case[0])(list(params.items()), **case[1])


def advance(optimizer, params, steps, first=0):
    """Take steps with the recorded gradients, yielding after each."""
    for step, g in list(enumerate(gradients()))[first : first + steps]:
        if step == 8:
            optimizer.param_groups[0]["lr"] *= 0.5
        optimizer.zero_grad()
        for name, p in params.items():
            if g[name] is not None:
                p.grad = p.backend.asarray(np.asarray(g[name]).astype(p.dtype))
        optimizer.step()
        yield step


@by_case
@pytest.mark.parametrize(("dtype", "rtol", "atol"), [("float64", 1e-11, 1e-13), ("float32", 2e-5, 2e-6)])
def test_equal_to_pytorch_step_by_step(case, backend, dtype, rtol, atol):
    params = parameters(backend, dtype)
    if case[0] == "NAdam":  # PyTorch keeps the product of its momenta in float32, also for float64 parameters
        rtol, atol = max(rtol, 1e-7), max(atol, 1e-8)
    for step in advance(build(case, params), params, 12):
        for name, p in params.items():
            expected = RECORDED[f"{name_of(case)}/{name}"][step]
            np.testing.assert_allclose(p.numpy(), expected, rtol=rtol, atol=atol, err_msg=f"{name} after step {step}")
            assert p.dtype == dtype


def test_nadam_is_its_formula_to_rounding():
    rng = np.random.default_rng(0)
    p = Parameter(np.ones(5))
    optimizer = optim.NAdam([p], lr=0.01)
    theta, m, v, product = np.ones(5), 0.0, 0.0, 1.0
    for t in range(1, 30):
        p.grad = g = rng.standard_normal(5)
        optimizer.step()
        mu, mu_next = (0.9 * (1 - 0.5 * 0.96 ** (k * 4e-3)) for k in (t, t + 1))
        product *= mu
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        ahead = mu_next * m / (1 - product * mu_next) + (1 - mu) * g / (1 - product)
        theta = theta - 0.01 * ahead / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(p.numpy(), theta, rtol=1e-12)


@by_case
@pytest.mark.parametrize("named", [True, False])
def test_state_dict_in_the_middle_goes_on_bit_for_bit(case, named):
    numpy = get_backend("numpy")
    whole = parameters(numpy)
    list(advance(build(case, whole), whole, 12))
    params = parameters(numpy)
    first = build(case, params) if named else getattr(optim, case[0])(params.values(), **case[1])
    list(advance(first, params, 5))
    saved = first.state_dict()
    assert list(saved["state"]) == (list(params) if named else ["0", "1", "2", "3"])
    again = {name: Parameter(p.data.copy()) for name, p in params.items()}
    second = build(case, again) if named else getattr(optim, case[0])(again.values(), **case[1])
    second.load_state_dict(saved)
    list(advance(second, again, 7, first=5))
    for name, p in again.items():
        np.testing.assert_array_equal(p.numpy(), whole[name].numpy())


@by_case
def test_a_step_on_a_device_makes_no_traffic(case):
    standin = get_backend("standin")
    params = parameters(standin, "float32")
    optimizer = build(case, params)
    for p in params.values():
        p.grad = standin.xp.ones(p.shape, dtype="float32")
    optimizer.step()
    with no_traffic():
        optimizer.param_groups[0]["lr"] = 0.003
        optimizer.step()


@by_case
def test_state_follows_the_parameters_to_another_backend(case):
    numpy, standin = get_backend("numpy"), get_backend("standin")
    whole, params = parameters(numpy), parameters(numpy)
    list(advance(build(case, whole), whole, 12))
    optimizer = build(case, params)
    list(advance(optimizer, params, 6))
    for p in params.values():
        p.data = standin.asarray(p.numpy())
    list(advance(optimizer, params, 6, first=6))
    for name, p in params.items():
        assert p.backend is standin
        np.testing.assert_allclose(p.numpy(), whole[name].numpy(), rtol=1e-12)


def model_and_data(seed=0):
    xpnet.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    rng = np.random.default_rng(0)
    return model, rng.standard_normal((16, 4)).astype("float32"), rng.integers(0, 3, 16)


def train(model, optimizer, x, labels, steps=3):
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()


def test_model_to_keeps_parameters_and_optimizer():
    model, x, labels = model_and_data()
    optimizer = optim.Adam(model.parameters())
    train(model, optimizer, x, labels)
    other, _, _ = model_and_data()
    train(other, optim.Adam(other.parameters()), x, labels, steps=6)
    before = list(model.parameters())
    model.to(backend="standin")
    assert all(a is b for a, b in zip(before, model.parameters(), strict=True))
    standin = get_backend("standin")
    train(model, optimizer, standin.asarray(x), standin.asarray(labels))
    for key, value in other.state_dict().items():
        np.testing.assert_allclose(standin.to_numpy(model.state_dict()[key]), value, rtol=1e-5, atol=1e-7)


def test_flat_buffers():
    model, x, labels = model_and_data()
    values = [p.numpy().copy() for p in model.parameters()]
    optimizer = optim.Adam(model.parameters())
    held = list(model.parameters())
    base = held[0].data.base
    for p, value in zip(held, values, strict=True):
        np.testing.assert_array_equal(p.numpy(), value)
        assert p.data.base is base
        assert p.data.flags.c_contiguous
        assert p.grad is None
    train(model, optimizer, x, labels, steps=1)
    grads = {id(p.grad.base) for p in held}
    assert len(grads) == 1
    optimizer.zero_grad()
    assert all(p.grad is None for p in held)


def test_gradients_of_two_backward_calls_add_up():
    model, x, labels = model_and_data()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    loss = lambda part: nn.functional.cross_entropy(model(x[part]), labels[part])  # noqa: E731
    loss(slice(None)).backward()
    whole = [p.grad.copy() for p in model.parameters()]
    optimizer.zero_grad()
    (loss(slice(0, 8)) * 0.5).backward()
    (loss(slice(8, 16)) * 0.5).backward()
    for p, g in zip(model.parameters(), whole, strict=True):
        np.testing.assert_allclose(p.grad, g, rtol=1e-5, atol=1e-7)


def test_values_assigned_in_between_are_used():
    p = Parameter(np.zeros(3))
    optimizer = optim.SGD([p], lr=1.0)
    p.data = np.array([1.0, 2.0, 3.0])
    p.grad = np.ones(3)
    optimizer.step()
    assert p.numpy().tolist() == [0, 1, 2]


def test_a_parameter_of_two_optimizers_obeys_both():
    p, q = Parameter(np.zeros(2)), Parameter(np.zeros(2))
    first, second = optim.SGD([p, q], lr=1.0), optim.SGD([p], lr=10.0)
    for optimizer in (first, second, first):
        p.grad = q.grad = np.ones(2)
        optimizer.step()
    assert p.numpy().tolist() == [-12, -12]
    assert q.numpy().tolist() == [-2, -2]


def test_groups_have_options_of_their_own():
    a, b = Parameter(np.zeros(2)), Parameter(np.zeros(2))
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    a.grad, b.grad = np.ones(2), np.ones(2)
    optimizer.step()
    assert a.numpy().tolist() == [-0.1, -0.1]
    assert b.numpy().tolist() == [-0.5, -0.5]


def test_two_dtypes_and_frozen_parameters():
    a, b, c = Parameter(np.zeros(2)), Parameter(np.zeros(2, "float32")), Parameter(np.zeros(2))
    c.requires_grad = False
    optimizer = optim.SGD([a, b, c], lr=1.0)
    for p in (a, b, c):
        p.grad = np.ones(2, p.dtype)
    optimizer.step()
    assert [p.numpy().tolist() for p in (a, b, c)] == [[-1, -1], [-1, -1], [0, 0]]
    assert b.dtype == np.float32


def test_closure_and_the_random_step():
    p = Parameter(np.ones(2))
    optimizer = optim.SGD([p], lr=0.5)
    before = random.state.step

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2.0
    assert p.numpy().tolist() == [0, 0]
    assert random.state.step == before + 1


def test_changing_a_parameter_that_an_op_saved_is_noticed():
    p = Parameter(np.ones(2))
    optimizer = optim.SGD([p], lr=0.5)
    loss = (p * p).sum()
    p.grad = np.ones(2)
    optimizer.step()
    with pytest.raises(RuntimeError, match="'multiply' saved for its backward was changed in place"):
        loss.backward()


SHAPES = st.lists(st.lists(st.integers(0, 3), max_size=3).map(tuple), min_size=1, max_size=5)


@given(shapes=SHAPES, seed=st.integers(0, 100), data=st.data())
def test_a_flat_update_is_the_update_of_each(shapes, seed, data):
    rng = np.random.default_rng(seed)
    flat = [Parameter(rng.standard_normal(shape)) for shape in shapes]
    alone = [Parameter(p.numpy().copy()) for p in flat]
    together = optim.Adam(flat, lr=0.1)
    single = [optim.Adam([p], lr=0.1) for p in alone]
    for _ in range(4):
        for p, q, each in zip(flat, alone, single, strict=True):
            p.grad = q.grad = None
            if data.draw(st.booleans()):
                p.grad = rng.standard_normal(p.shape)
                q.grad = p.grad.copy()
                each.step()
        together.step()
    for p, q in zip(flat, alone, strict=True):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-12)


@pytest.mark.parametrize(("make", "error", "match"), [
    (lambda p: optim.SGD([]), ValueError, "got no parameters"),
    (lambda p: optim.SGD(p), TypeError, "must be an iterable of parameters or groups, got one Parameter"),
    (lambda p: optim.SGD([p, p]), ValueError, "appears twice"),
    (lambda p: optim.SGD([xpnet.tensor([1.0])]), TypeError, "takes Parameters, got Tensor"),
    (lambda p: optim.SGD([p], lr=-1), ValueError, "SGD: lr must be >= 0, got -1"),
    (lambda p: optim.SGD([p], lr=float("nan")), ValueError, "lr must be >= 0, got nan"),
    (lambda p: optim.SGD([p], nesterov=True), ValueError, "nesterov needs momentum > 0"),
    (lambda p: optim.Adam([p], betas=(0.9, 1.0)), ValueError, r"betas must be two numbers in \[0, 1\), got \(0.9, 1.0\)"),
    (lambda p: optim.RMSprop([p], alpha=1.5), ValueError, "alpha must be in"),
    (lambda p: optim.AdamW([p], weight_decay=-0.1), ValueError, "AdamW: weight_decay must be >= 0"),
    (lambda p: optim.Adagrad([p], lr_decay=-1), ValueError, "Adagrad: lr_decay must be >= 0, got -1"),
    (lambda p: optim.Adadelta([p], rho=2), ValueError, "Adadelta: rho must lie in 0..1, got 2"),
    (lambda p: optim.Adamax([p], betas=(1.0, 0.9)), ValueError, "Adamax: betas must be two numbers in"),
    (lambda p: optim.NAdam([p], momentum_decay=-1), ValueError, "NAdam: momentum_decay must be >= 0"),
    (lambda p: optim.RAdam([p], betas=(0.9, -0.1)), ValueError, "RAdam: betas must be two numbers in"),
    (lambda p: optim.Adam([p], betas=(0.9,)), ValueError, "Adam: betas must be two numbers in"),
    (lambda p: optim.SGD([{"params": [p], "momentun": 0.9}]), ValueError, "SGD has no option 'momentun'"),
])  # fmt: skip
def test_errors(make, error, match):
    with pytest.raises(error, match=match):
        make(Parameter(np.zeros(2)))


def test_radam_reads_its_step_on_the_backend(backend):
    """A recorded graph replays what was launched: the host's count then stands still."""
    runs = []
    for replayed in (False, True):
        p = Parameter(backend.asarray(np.linspace(-1, 1, 5), "float32"))
        optimizer = optim.RAdam([p], lr=0.1)
        for i in range(12):  # from the sixth step on the variance is known well enough
            p.grad = backend.asarray(np.cos(np.arange(5.0) + i), "float32")
            if replayed:
                optimizer._flats[0][0].spans[0].steps = 0
            optimizer.step()
            runs.append(backend.to_numpy(p.data).copy())
    np.testing.assert_array_equal(runs[:12], runs[12:])
    assert runs[0].dtype == np.float32


@pytest.mark.parametrize("beta2", [0.3, 0.6, 2 / 3, 0.7, 0.9, 0.99, 0.999, 0.9999])
def test_radam_against_its_formula(beta2):
    p, theta, m, v = Parameter(np.ones(2)), np.ones(2), np.zeros(2), np.zeros(2)
    optimizer = optim.RAdam([p], lr=0.05, betas=(0.9, beta2))
    limit = 2 / (1 - beta2) - 1
    for t in range(1, 16):
        g = np.array([np.sin(t), 0.0])
        p.grad = g.copy()
        optimizer.step()
        m, v = 0.9 * m + 0.1 * g, beta2 * v + (1 - beta2) * g * g
        rho, step = limit - 2 * t * beta2**t / (1 - beta2**t), 0.05 * m / (1 - 0.9**t)
        if rho > 5:
            r = np.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))
            step *= r * np.sqrt(1 - beta2**t) / (np.sqrt(v) + 1e-8)
        theta = theta - step
        np.testing.assert_allclose(p.numpy(), theta, rtol=1e-10)


def test_a_state_that_does_not_fit():
    saved = optim.Adam([("w", Parameter(np.zeros(2)))]).state_dict()
    with pytest.raises(ValueError, match=r"belongs to other parameters: expected .*'v'.*, got .*'w'"):
        optim.Adam([("v", Parameter(np.zeros(2)))]).load_state_dict(saved)
    with pytest.raises(ValueError, match=r"state 'exp_avg': expected shape \(3,\), got \(2,\)"):
        optim.Adam([("w", Parameter(np.zeros(3)))]).load_state_dict(saved)


def test_repr():
    optimizer = optim.SGD([Parameter(np.zeros(2))], lr=0.5)
    assert repr(optimizer).startswith("SGD(lr=0.5, momentum=0.0")
