"""A bad number stops the run, leaves the weights alone, and is traced to the op that made it."""

import numpy as np
import pytest

import xpnet
from xpnet import nn, optim
from xpnet.data import ArrayDataset, DataLoader
from xpnet.nn import functional as F
from xpnet.train import NonFiniteLossError, Trainer


class Log(nn.Module):
    """ln x: bad for x = 0, which ReLU gives."""

    def forward(self, x):
        return x.log()


class Root(nn.Module):
    """√(x²): finite, but at 0 its derivative is 0 · ∞."""

    def forward(self, x):
        return (x * x).sqrt()


def data(n=64):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 4)).astype("float32"), rng.integers(0, 3, n)


def network(*middle):
    xpnet.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), *middle, nn.Dropout(0.2), nn.Linear(8, 3))


def trainer(model, backend, lr=0.01, **options):
    model.to(backend=backend)
    return Trainer(model, F.cross_entropy, optim.Adam(model.named_parameters(), lr=lr), **options)


def fails(made, x, y, epochs=3, batch_size=8):
    with pytest.raises(NonFiniteLossError) as caught:
        made.fit((x, y), epochs=epochs, batch_size=batch_size)
    return caught.value


def zero_first_bias(model):
    with xpnet.no_grad():
        model[0].weight[0] = 0.0
        model[0].bias[0] = -1.0


def test_forward(backend):
    model = network(nn.ReLU(), nn.Sequential(nn.Identity(), Log()))
    zero_first_bias(model)
    before = {k: backend.to_numpy(v) for k, v in model.to(backend=backend).state_dict().items()}
    error = fails(trainer(model, backend), *data())
    found = error.provenance
    assert (found.phase, found.layer, found.op) == ("forward", "2.1", "log")
    assert "ln" in found.formula
    assert "from 0 to" in found.operands[0]
    assert "logarithm of zero" in found.cause
    assert str(error).startswith("the loss became ")
    assert "epoch 1, step 1: training was stopped. Run again, it arose in the forward of 'log' in layer 2.1" in str(
        error
    )
    for key, value in model.state_dict().items():  # no update had an effect
        np.testing.assert_array_equal(backend.to_numpy(value), before[key])


def test_backward(backend):
    model = network(nn.Identity(), Root())  # a ReLU would stop the NaN: its gradient at 0 is 0, whatever comes in
    with xpnet.no_grad():
        model[0].weight[0] = 0.0
        model[0].bias[0] = 0.0
    error = fails(trainer(model, backend), *data())
    found = error.provenance
    assert (found.phase, found.layer, found.op) == ("backward", "2", "sqrt")
    assert "slope at 0" in found.cause
    assert "a gradient was not finite in epoch 1, step 1" in str(error)


def test_data(backend):
    x, y = data()
    x[37, 2] = np.nan
    model = network(nn.ReLU())
    made = trainer(model, backend)
    loader = DataLoader(ArrayDataset(x, y), 8, backend=backend)  # a loader of one's own is not looked through before
    with pytest.raises(NonFiniteLossError, match=r"epoch 1, step 5.*in the data: samples 5 of the batch") as caught:
        made.fit(loader, epochs=1)
    assert caught.value.provenance.phase == "data"


def test_parameters(backend):
    model = network(nn.ReLU())
    with xpnet.no_grad():
        model[3].weight[1, 2] = np.inf
    found = fails(trainer(model, backend), *data()).provenance
    assert (found.phase, found.layer) == ("parameters", "3.weight")
    assert "1 infinite" in found.operands[0]


def test_an_overflow_names_the_first_layer_that_overflows(backend):
    model = network(nn.Linear(8, 8), nn.Linear(8, 8))
    with xpnet.no_grad():
        for layer in (model[1], model[2]):
            layer.weight[...] = 1e30
    found = fails(trainer(model, backend), *data()).provenance
    assert (found.phase, found.layer, found.op) == ("forward", "2", "linear")
    assert "smaller learning rate" in found.cause


def test_a_gradient_whose_square_overflows(backend):
    model = network(nn.ReLU())
    made = Trainer(
        model.to(backend=backend), lambda y, t: (y * 1e22).mean(), optim.SGD(model.named_parameters(), lr=1e-3)
    )
    error = fails(made, *data())
    assert error.provenance.phase == "gradient"
    assert "its square overflows" in str(error)


class Trap(nn.Module):
    """The identity, but a division by zero for inputs above 500."""

    def forward(self, x):
        return x / xpnet.where(x > 500.0, 0.0, 1.0)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_step_is_the_right_one_with_accumulation(backend, accumulate):
    x, y = data()
    x[37] = 1000.0
    model = nn.Sequential(Trap(), network(nn.ReLU()))
    loader = DataLoader(ArrayDataset(x, y), 8, backend=backend)
    made = trainer(model, backend, accumulate=accumulate)
    with pytest.raises(NonFiniteLossError, match="epoch 1, step 5: ") as caught:
        made.fit(loader, epochs=1)
    assert (caught.value.provenance.op, caught.value.provenance.layer) == ("divide", "0")


def test_the_replay_draws_the_same_dropout_mask(backend):
    """A fault that only some masks bring about is found again."""

    class Sensitive(nn.Module):
        def forward(self, x):
            alive = (x * x).sum(axis=1).min()  # zero where dropout took a whole sample
            return x * xpnet.where(alive == 0.0, float("inf"), 1.0)

    xpnet.manual_seed(3)
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.4), Sensitive(), nn.Linear(4, 3))
    error = fails(trainer(model, backend, lr=0.0), *data(), epochs=20)
    assert (error.provenance.phase, error.provenance.layer) == ("forward", "2")


def test_after_a_resume_in_the_middle_of_an_epoch(tmp_path):
    x, y = data()
    x[60:] = np.nan
    model = network(nn.ReLU())
    loader = DataLoader(ArrayDataset(x, y), 4)

    class Stop:
        def on_epoch_start(self, trainer, epoch, batches): ...
        def on_batch_end(self, trainer, meter):
            if meter.batches == 7:
                import signal

                signal.raise_signal(signal.SIGINT)

        def on_epoch_end(self, trainer, row): ...

    made = trainer(model, "numpy", folder=tmp_path, callbacks=[Stop()])
    with pytest.raises(KeyboardInterrupt):
        made.fit(loader, epochs=1)
    again = trainer(network(nn.ReLU()), "numpy", folder=tmp_path)
    again.resume()
    with pytest.raises(NonFiniteLossError, match=r"epoch 1, step 16: .*samples 0, 1, 2, 3 of the batch"):
        again.fit(loader, epochs=1)
