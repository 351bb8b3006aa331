"""A step's parts: what is no model, loss or optimizer is named, with the fix."""

import re

import pytest

from xpnet import nn, optim
from xpnet.nn import functional as F
from xpnet.train import Step, Trainer

MODEL = nn.Linear(3, 2)
ADAM = optim.Adam(MODEL.parameters(), lr=0.01)


@pytest.mark.parametrize("make", [Trainer, Step])
@pytest.mark.parametrize(("parts", "said"), [
    ((nn.Linear, F.cross_entropy, ADAM), "the model is the class Linear: make one, Linear(...)"),
    (([1, 2], F.cross_entropy, ADAM), "the model is [1, 2] (list): expected a Module"),
    ((MODEL, nn.CrossEntropyLoss, ADAM), "the loss is the class CrossEntropyLoss: make one, CrossEntropyLoss()"),
    ((MODEL, "cross_entropy", ADAM), "use the function, xpnet.nn.functional.cross_entropy"),
    ((MODEL, "nothing", ADAM), "the loss is 'nothing' (str): expected a function of output and target"),
    ((MODEL, ADAM, F.cross_entropy), "the loss is an optimizer (Adam): the order is model, loss, optimizer"),
    ((MODEL, F.cross_entropy, optim.SGD), "the optimizer is the class SGD: make one, e.g. SGD(model.parameters()"),
    ((MODEL, F.cross_entropy, "adam"), "the optimizer is 'adam' (str): make one, e.g. Adam(model.parameters()"),
    ((MODEL, F.cross_entropy, F.mse_loss), "the optimizer is <function mse_loss"),
])  # fmt: skip
def test_what_is_no_part_of_a_step_is_named(make, parts, said):
    with pytest.raises(TypeError, match=re.escape(said)):
        make(*parts)


def test_an_optimizer_of_another_model_is_refused():
    other = nn.Linear(3, 2)
    with pytest.raises(ValueError, match=r"has 2 parameters, and none of them is the model's.*Adam\(model.parameters"):
        Trainer(other, F.cross_entropy, ADAM)
    some = optim.SGD([other.bias, MODEL.weight], lr=0.1)
    assert Trainer(other, F.cross_entropy, some).optimizer is some
    empty = nn.ReLU()
    assert Trainer(empty, F.mse_loss, ADAM).model is empty


@pytest.mark.parametrize(("loss", "optimizer", "missing"), [(None, None, "loss"), (F.mse_loss, None, "optimizer")])
def test_a_trainer_may_lack_what_only_fit_needs(loss, optimizer, missing):
    trainer = Trainer(MODEL, loss, optimizer)
    with pytest.raises(TypeError, match=f"made without {missing}"):
        trainer.fit([[1.0, 2.0, 3.0]], [[1.0, 2.0]])
