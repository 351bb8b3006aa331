"""The simulator: its text, its page, and the page in a browser."""

from collections import OrderedDict
from itertools import pairwise

import numpy as np
import pytest

import xpnet
from tests.explore.browser import act, assert_self_contained, needs_browser
from xpnet import explore, nn
from xpnet.nn import functional as F


def network(activation=nn.Tanh, sizes=(2, 3, 1), loss="mse", rows=1):
    rng = np.random.default_rng(0)
    layers = OrderedDict()
    for i, (a, b) in enumerate(pairwise(sizes)):
        layers[f"l{i}"] = nn.Linear(a, b, dtype="float64")
        if i < len(sizes) - 2:
            layers[f"a{i}"] = activation()
    model = nn.Sequential(layers)
    x = xpnet.tensor(rng.standard_normal((rows, sizes[0])))
    if loss == "mse":
        target = xpnet.tensor(rng.standard_normal((rows, sizes[-1])))
        return model, x, lambda y: F.mse_loss(y, target)
    classes = xpnet.tensor(rng.integers(0, sizes[-1], rows))
    return model, x, lambda y: F.cross_entropy(y, classes)


def record(*arguments, **options):
    model, x, loss = network(*arguments, **options)
    return explore.trace(model, x, loss=loss)


def test_narration_goes_forward_and_back():
    blocks = list(explore.narrate(record()))
    heads = [b.splitlines()[0] for b in blocks]
    assert [h[:5] for h in heads] == ["→ 1/4", "→ 2/4", "→ 3/4", "→ 4/4", "← 4/4", "← 3/4", "← 2/4", "← 1/4"]
    assert heads[1] == "→ 2/4  tanh (layer a0):  y = tanh x"
    assert heads[6] == "← 2/4  tanh (layer a0):  dy/dx = 1 − y²"
    assert "dweight = ∂L/∂(l0.weight)" in blocks[-1]
    assert len(explore.flow(record()).splitlines()) == 4


@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
def test_the_flow_of_numbers_that_overflow():
    model, x, loss = network()
    lines = explore.flow(explore.trace(model, x, loss=lambda y: loss(y * 1e200))).splitlines()
    assert len(lines) == 5
    assert any("█" not in line for line in lines)  # NaN has no bar


def test_finite_differences_agree_and_put_back():
    model, x, loss = network(nn.Sigmoid, (2, 4, 2), "cross_entropy")
    tensors = {"input": x, **dict(model.named_parameters())}
    before = {name: t.numpy().copy() for name, t in tensors.items()}
    found = explore.trace(model, x, loss=loss)
    assert explore.finite_differences(found.gradients, tensors, lambda: loss(model(x))) < 1e-8
    wrong = {name: g + 0.1 for name, g in found.gradients.items()}
    assert explore.finite_differences(wrong, tensors, lambda: loss(model(x))) == pytest.approx(0.1, rel=1e-3)
    for name, values in before.items():
        np.testing.assert_array_equal(tensors[name].numpy(), values)


@pytest.mark.parametrize(("text", "message"), [
    ("w=3", "an edit reads NAME"), ("w[1]", "an edit reads NAME"), ("w[1]=x", "an edit reads NAME"),
    ("w[-1]=2", "an edit reads NAME"), ("w[1]=nan", "needs a finite number"),
])  # fmt: skip
def test_wrong_edits(text, message):
    with pytest.raises(ValueError, match=message):
        explore.Edit.parse(text)


def test_an_edit_changes_one_number():
    tensors = {"w": xpnet.tensor(np.zeros((2, 3)))}
    assert explore.Edit.parse("w[1, 2]=5e-1").apply(tensors) == 0
    assert tensors["w"].numpy()[1, 2] == 0.5
    for text, message in [
        ("v[0]=1", "no 'v' to change: choose from w"),
        ("w[2,0]=1", r"shape \(2, 3\)"),
        ("w[0]=1", "no \\[0\\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            explore.Edit.parse(text).apply(tensors)


def test_the_page_needs_nothing_else_and_holds_any_text():
    page = explore.simulator_page(record(), title="</script><b>", about="a < b & c")
    assert_self_contained(page)
    assert "</script><b>" not in page
    assert "__DATA__" not in page


SETTINGS = [
    (nn.Tanh, (2, 3, 1), "mse", 1), (nn.ReLU, (3, 4, 4, 2), "cross_entropy", 3), (nn.Sigmoid, (2, 2), "mse", 4),
    (nn.LeakyReLU, (2, 3, 2), "mse", 2), (nn.ELU, (2, 3, 3), "cross_entropy", 1), (nn.SiLU, (1, 5, 1), "mse", 2),
    (nn.Softplus, (2, 3, 1), "mse", 1),
]  # fmt: skip


@needs_browser
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: f"{s[0].__name__}-{s[2]}")
def test_the_page_computes_what_the_library_computes(setting, tmp_path):
    """As recorded, and after an edit that the library is given too."""
    activation, sizes, loss, rows = setting
    model, x, measure = network(activation, sizes, loss, rows)
    page = explore.simulator_page(explore.trace(model, x, loss=measure))
    explore.Edit("l0.weight", (0, 0), 0.75).apply(dict(model.named_parameters()))
    edited = explore.trace(model, x, loss=measure)
    found = act(tmp_path, page, """
        const field = document.querySelector('input[data-key="l0.weight"][data-index="0"]');
        type(field, "0.75");
        const totalsNow = Object.fromEntries(totals(run));
        return {agreement: Number(document.body.dataset.agreement), loss: Number(document.body.dataset.loss), totalsNow};
    """)  # fmt: skip
    assert found["agreement"] < 1e-12
    assert found["loss"] == pytest.approx(edited.loss, rel=1e-12)
    for name, gradient in edited.gradients.items():
        np.testing.assert_allclose(found["totalsNow"][name], gradient.ravel(), rtol=1e-9, atol=1e-12, err_msg=name)


@needs_browser
def test_keys_buttons_and_fields(tmp_path):
    found = act(tmp_path, explore.simulator_page(record()), """
        const seen = {start: text("where"), buttons: [document.getElementById("back").disabled, document.getElementById("next").disabled]};
        press("ArrowRight"); press("ArrowRight"); seen.right = text("where");
        press("ArrowLeft"); seen.left = text("where");
        press("End"); seen.end = text("where"); seen.endTitle = document.querySelector("#step h2").textContent;
        press("ArrowRight"); seen.beyond = text("where");
        click("back"); seen.back = text("where");
        press("Home"); click("next"); seen.next = text("where"); seen.worked = document.querySelector("#step pre").textContent;
        const field = document.querySelector('input[data-key="input"]');
        press("ArrowRight", field); seen.inField = text("where");
        seen.loss = Number(document.body.dataset.loss);
        type(field, "3"); seen.edited = Number(document.body.dataset.loss); seen.message = text("message"); seen.mark = field.className;
        type(field, ""); seen.empty = Number(document.body.dataset.loss);
        seen.address = location.hash;
        click("reset"); seen.reset = Number(document.body.dataset.loss); seen.quiet = text("message");
        for (let i = 0; i < 30; i++) click("descend");
        seen.trained = Number(document.body.dataset.loss);
        document.querySelectorAll("#all button")[3].click(); seen.list = text("where");
        seen.circles = document.querySelectorAll("#drawing circle").length;
        seen.names = [...document.querySelectorAll("button, input, select")].filter(b => !(b.textContent.trim() || b.getAttribute("aria-label") || b.closest("label"))).length;
        return seen;
    """)  # fmt: skip
    assert found["start"] == "step 1 of 8"
    assert found["buttons"] == [True, False]
    assert [found[k] for k in ("right", "left", "end", "beyond", "back", "next", "inField", "list")] == [
        f"step {n} of 8" for n in (3, 2, 8, 8, 7, 2, 2, 4)
    ]
    assert found["endTitle"].startswith("Backward: linear in layer l0")
    assert found["worked"].startswith("y₁ = tanh(")
    assert found["edited"] != found["loss"] == found["reset"]
    assert found["empty"] == found["edited"]
    assert "The gradient foretold" in found["message"]
    assert (found["mark"], found["quiet"]) == ("edited", "")
    assert found["address"].endswith("input[0]=3")
    assert found["trained"] < 1e-6
    assert found["circles"] == 6
    assert found["names"] == 0


@needs_browser
def test_an_address_keeps_step_and_edits_and_a_phone_does_not_scroll_sideways(tmp_path):
    page = explore.simulator_page(record())
    script = """return [text("where"), leaves.get("l0.bias").data[1], document.documentElement.scrollWidth <= document.documentElement.clientWidth,
                        document.querySelector('input.edited').dataset.key];"""
    found = act(
        tmp_path, page, script, "#step=6&l0.bias[1]=-0.25&nonsense&step=x&l0.bias[99]=1&toString[0]=1", width=500
    )
    assert found == ["step 6 of 8", -0.25, True, "l0.bias"]


@needs_browser
def test_other_networks_are_shown_without_edits(tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GELU(), nn.Flatten(), nn.Linear(2 * 36, 2))
    images = np.random.default_rng(0).standard_normal((2, 1, 8, 8)).astype("float32")
    page = explore.simulator_page(explore.trace(model, images), most=50)
    found = act(tmp_path, page, """
        const seen = []; for (let i = 0; i < 10; i++) { seen.push(text("where")); press("ArrowRight"); }
        return {seen, hint: text("hint"), fields: document.querySelectorAll("#edits input").length};
    """)  # fmt: skip
    assert found["seen"] == [f"step {i} of 10" for i in range(1, 11)]
    assert "Edits are off: the page cannot compute conv2d" in found["hint"]
    assert found["fields"] == 0
