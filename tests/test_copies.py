"""Copies of everything that training is made of: deep ones, and those that go to another process."""

import copy
import inspect
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest

import xpnet
from tests.optim.cases import CASES, name_of
from xpnet import data, metrics, nn, optim
from xpnet.data import augment
from xpnet.optim import EMA, lr_scheduler
from xpnet_backends import get_backend, random


def sent(x):
    """As it arrives in another process."""
    return ForkingPickler.loads(ForkingPickler.dumps(x))


in_both_ways = pytest.mark.parametrize("copied", [copy.deepcopy, sent], ids=["deepcopy", "sent"])


def network(backend="numpy"):
    xpnet.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 4, backend=backend), nn.BatchNorm1d(4, backend=backend), nn.Linear(4, 2, backend=backend)
    )


def train(model, optimizer, steps, schedule=None, ema=None, start=0):
    home = next(model.parameters()).backend
    for t in range(start, start + steps):
        x = home.asarray(np.random.default_rng(t).standard_normal((8, 3)).astype("float32"))
        optimizer.zero_grad()
        (model(x) ** 2).mean().backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
        if ema is not None:
            ema.update()


def values(model):
    return {
        key: np.array(get_backend(next(model.parameters()).backend).to_numpy(v))
        for key, v in model.state_dict().items()
    }


def same(a, b):
    a, b = values(a), values(b)
    return all(np.array_equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("case", CASES, ids=name_of)
@in_both_ways
def test_a_model_and_its_optimizer_stay_tied(case, copied):
    model = network()
    optimizer = getattr(optim, case[0])(model.parameters(), **case[1])
    train(model, optimizer, 3)
    other, again = copied((model, optimizer))
    assert same(model, other)
    assert all(a is b for a, b in zip(again.param_groups[0]["params"], other.parameters(), strict=True))
    assert not {id(p) for p in other.parameters()} & {id(p) for p in model.parameters()}
    train(other, again, 3, start=3)
    assert not same(model, other)
    train(model, optimizer, 3, start=3)
    assert same(model, other)


@in_both_ways
def test_all_of_a_training_goes_on_bit_for_bit(copied):
    model = network()
    optimizer = optim.SGD([{"params": list(model[0].parameters())}, {"params": list(model[1].parameters()), "lr": 0.5},
                           {"params": list(model[2].parameters())}], lr=0.1, momentum=0.9)  # fmt: skip
    schedule, ema = lr_scheduler.CosineAnnealingLR(optimizer, 10), EMA(model.named_parameters(), 0.9)
    everything = {"schedule": schedule, "model": model, "ema": ema, "optimizer": optimizer}
    train(model, optimizer, 4, schedule, ema)
    other = copied(everything)
    assert other["schedule"].optimizer is other["optimizer"]
    for parts in (everything, other):
        train(parts["model"], parts["optimizer"], 4, parts["schedule"], parts["ema"], start=4)
    assert same(model, other["model"])
    assert other["schedule"].get_last_lr() == schedule.get_last_lr()
    for name, average in ema.averages.items():
        np.testing.assert_array_equal(other["ema"].averages[name], average)


@in_both_ways
def test_the_order_and_the_gradients_are_kept(copied):
    model = network()
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    train(model, optimizer, 2)
    again, other = copied((optimizer, model))  # the optimizer first
    assert same(model, other)
    np.testing.assert_array_equal(other[0].weight.grad, model[0].weight.grad)
    optimizer.step()
    again.step()  # with the gradients that were there
    assert same(model, other)
    assert again.param_groups[0]["params"][0].data.base is not None, "the copy has flat buffers of its own"


def test_deep_copies_on_every_backend(backend):
    model = network(backend)
    optimizer = optim.Adam(model.parameters(), amsgrad=True)
    train(model, optimizer, 3)
    other, again = copy.deepcopy((model, optimizer))
    for a, b in ((model, optimizer), (other, again)):
        train(a, b, 3, start=3)
    assert same(model, other)
    assert next(other.parameters()).backend is backend


def test_a_copy_after_the_model_moved():
    model = network()
    optimizer = optim.Adam(model.parameters())
    train(model, optimizer, 2)
    model.to(backend="standin")
    other, again = copy.deepcopy((model, optimizer))
    for a, b in ((model, optimizer), (other, again)):
        train(a, b, 2, start=2)
    assert same(model, other)


@in_both_ways
def test_the_memory_of_lbfgs(copied):
    p = nn.Parameter(np.array([3.0, -2.0]))
    optimizer = optim.LBFGS([p], max_iter=3)

    def step(p, optimizer):
        def closure():
            optimizer.zero_grad()
            loss = ((p - 1.0) ** 4).sum()
            loss.backward()
            return loss

        optimizer.step(closure)

    step(p, optimizer)
    q, again = copied((p, optimizer))
    step(p, optimizer)
    step(q, again)
    np.testing.assert_array_equal(p.numpy(), q.numpy())


def advance_in_a_worker(parts):
    model, optimizer, schedule = parts
    train(model, optimizer, 2, schedule, start=2)
    return parts


def test_a_pool_of_processes_takes_and_gives_them():
    model = network()
    optimizer = optim.AdamW(model.named_parameters())
    schedule = lr_scheduler.StepLR(optimizer, 3)
    train(model, optimizer, 2, schedule)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        other, again, theirs = pool.submit(advance_in_a_worker, (model, optimizer, schedule)).result()
    train(model, optimizer, 2, schedule, start=2)
    assert same(model, other)
    assert theirs.get_last_lr() == schedule.get_last_lr()
    assert again.state_dict()["state"]["0.weight"]["step"] == 4


# -- one by one ------------------------------------------------------------------------------------------------------

ARGUMENTS = [(), (3,), (4, 2), (4, 2, 3), (2, 2, 2), (0.5,), (4, 2, 2), ([4],)]


def some(kind):
    for arguments in ARGUMENTS:
        try:
            return kind(*arguments)
        except (TypeError, ValueError):
            continue
    return None


def classes(module, *, at_least):
    found = [c for c in vars(module).values() if inspect.isclass(c) and c.__module__.startswith("xpnet")]
    made = {c.__name__: c for c in found if not inspect.isabstract(c) and some(c) is not None}
    assert len(made) >= at_least
    return list(made.values())


@pytest.mark.parametrize("kind", [
    *classes(nn, at_least=80), *classes(metrics, at_least=15), *classes(augment, at_least=12),
], ids=lambda c: c.__name__)  # fmt: skip
@in_both_ways
def test_every_layer_loss_metric_and_transform(kind, copied):
    x = some(kind)
    y = copied(x)
    assert type(y) is kind
    assert y is not x
    assert repr(y).partition(" at 0x")[0] == repr(x).partition(" at 0x")[0]
    if isinstance(x, nn.Module):
        assert all(np.array_equal(a, b) for a, b in zip(x.state_dict().values(), y.state_dict().values(), strict=True))
        assert all(isinstance(p, nn.Parameter) and p is getattr_path(y, name) for name, p in y.named_parameters())


def getattr_path(module, path):
    for name in path.split("."):
        module = module._modules[name] if name in module._modules else getattr(module, name)
    return module


@in_both_ways
def test_tied_parameters_and_buffers_stay_one(copied):
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.BatchNorm1d(3))
    model[1].weight = model[0].weight
    model[0].weight.requires_grad = False
    other = copied(model)
    assert other[1].weight is other[0].weight
    assert not other[0].weight.requires_grad
    assert other[2].running_mean is other[2]._buffers["running_mean"]
    other(np.ones((4, 3), "float32"))
    assert float(other[2].num_batches_tracked) == 1
    assert float(model[2].num_batches_tracked) == 0


@in_both_ways
def test_tensors(copied):
    x = xpnet.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    y = copied(x)
    assert y.requires_grad
    np.testing.assert_array_equal(y.grad, [2.0, 4.0])
    (y * 3.0).sum().backward()
    np.testing.assert_array_equal(y.grad, [5.0, 7.0])
    np.testing.assert_array_equal(x.grad, [2.0, 4.0])
    with pytest.raises(TypeError, match=r"only leaf tensors can be .*: call detach\(\) first"):
        copied(x * 2)


class Labelled(nn.Parameter):
    pass


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, sent])
def test_a_parameter_of_ones_own_keeps_what_it_has(copied):
    p = Labelled(xpnet.tensor([1.0]))
    p.label, p.sizes = "mine", [1, 2]
    q = copied(p)
    assert type(q) is Labelled
    assert (q.label, q.sizes, q.tolist()) == ("mine", [1, 2], [1.0])
    assert (q.sizes is p.sizes) == (copied is copy.copy)


def test_a_shallow_copy_shows_the_same_memory():
    x = nn.Parameter(xpnet.tensor([1.0, 2.0]))
    y = copy.copy(x)
    loss = (y * y).sum()
    assert y.data is x.data
    with xpnet.no_grad():
        x[...] = 0.0
    with pytest.raises(RuntimeError, match="was changed in place"):
        loss.backward()


@in_both_ways
def test_loaders_and_chains_of_transforms(copied):
    x, y = np.arange(24.0, dtype="float32").reshape(12, 2), np.arange(12)
    loader = data.DataLoader(data.ArrayDataset(x, y), 5, shuffle=True)
    first = next(iter(loader))
    again = next(iter(copied(loader)))
    assert len(first) == len(again) == 2
    chain = augment.Compose([augment.RandomHorizontalFlip(), augment.RandomApply([augment.RandomErasing()], 0.5)])
    assert type(copied(chain)) is augment.Compose


@in_both_ways
def test_backends_and_random_streams(copied):
    assert copied(get_backend("numpy")) is get_backend("numpy")
    random.state.manual_seed(3)
    random.state.next("a")
    assert copied(random.state) is random.state
    stream = random.state.next("a")
    assert copied(stream) == stream
    own = random.RandomState(5)
    own.set_step(7)
    own.next("b")
    other = copied(own)
    assert other.next("b") == own.next("b")
    other.set_step(8)
    assert (own.seed, own.step, other.step) == (5, 7, 8)


@in_both_ways
def test_a_trainer_that_has_trained(copied):
    xpnet.manual_seed(0)
    x = np.random.default_rng(0).standard_normal((20, 3)).astype("float32")
    y = np.arange(20) % 2
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    trainer = xpnet.train.Trainer(
        model, nn.functional.cross_entropy, optimizer, ema=EMA(model.named_parameters()), metrics=["accuracy"],
        scheduler=lr_scheduler.StepLR(optimizer, 2),
    )  # fmt: skip
    trainer.fit((x, y), epochs=2)
    other = copied(trainer)
    assert other.model is not model
    at = random.state.step
    for each in (trainer, other):
        random.state.set_step(at)
        each.fit((x, y), epochs=4)
    assert same(trainer.model, other.model)
    assert [row["train_loss"] for row in other.history.rows] == [row["train_loss"] for row in trainer.history.rows]
