"""A network as it trains."""

import json
import re

import numpy as np
import pytest

from tests.explore.browser import act, assert_self_contained, needs_browser
from xpnet import explore, nn, no_grad, optim
from xpnet.nn import functional as F
from xpnet_backends import to_numpy

X = np.random.default_rng(0).standard_normal((6, 3)).astype("float32")


def trained(backend=None, moments=(0, 1, 2, 5)):
    model = nn.Sequential(
        nn.Linear(3, 4, backend=backend), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 2, bias=False, backend=backend)
    )
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    x = X if backend is None else backend.asarray(X)
    labels = np.arange(6) % 2 if backend is None else backend.asarray(np.arange(6) % 2)
    snapshots = explore.Snapshots(model, x)
    for step in range(moments[-1] + 1):
        loss = F.cross_entropy(model(x), labels)
        if step in moments:
            snapshots.take(step, loss=loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model, snapshots


def test_what_is_noted(backend):
    model, snapshots = trained(backend)
    assert snapshots.names == ["0", "3"]
    assert [s.moment for s in snapshots.shots] == [0, 1, 2, 5]
    first, last = snapshots.shots[0], snapshots.take(6)
    assert [a.shape for a in first.activations] == [(6, 3), (6, 4), (6, 2)]
    assert not np.array_equal(first.weights[0], last.weights[0])
    assert last.biases[1] is None
    np.testing.assert_array_equal(last.weights[1], to_numpy(model[3].weight.data))
    with no_grad():
        hidden = model[1](model[0](backend.asarray(X)))
    np.testing.assert_allclose(last.activations[1], to_numpy(hidden.data), rtol=1e-6)  # after tanh, without dropout
    assert model.training
    assert model[2].training


def test_histograms_keep_their_scale():
    _, snapshots = trained()
    edges = [snapshots.histograms(shot)[0][0][1] for shot in snapshots.shots]
    for found in edges[1:]:
        np.testing.assert_array_equal(found, edges[0])
    assert snapshots.histograms(snapshots.shots[0])[1][1][0].sum() == 24


def test_what_cannot_be_watched():
    with pytest.raises(ValueError, match="no Linear layers"):
        explore.Snapshots(nn.ReLU(), X)
    with pytest.raises(ValueError, match="not in a row"):
        explore.Snapshots(nn.Sequential(nn.Linear(3, 4), nn.Linear(3, 2)), X)
    _, snapshots = trained()
    with pytest.raises(ValueError, match=r"rows from 0 to 5"):
        snapshots.to_page(samples={"a": 6})
    with pytest.raises(ValueError, match="nothing was taken"):
        explore.Snapshots(nn.Linear(3, 1), X).to_page()


def test_the_page_holds_what_was_noted_and_no_more():
    _, snapshots = trained()
    page = snapshots.to_page(title="</script>", inputs=["a", "b", "c"], samples={"x": 0, "y": 3})
    assert_self_contained(page)
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert data["title"] == "</script>"
    np.testing.assert_allclose(data["shots"][2]["weights"][1], snapshots.shots[2].weights[1], rtol=1e-3)
    np.testing.assert_allclose(data["shots"][2]["values"][1], snapshots.shots[2].activations[1][[0, 3]], rtol=1e-3)


def test_large_layers_are_shown_in_part():
    snapshots = explore.Snapshots(nn.Linear(100, 3), np.full((2, 100), np.nan, "float32"))
    snapshots.take(0, loss=np.inf)
    data = json.loads(re.search(r'id="data">(.*?)</script>', snapshots.to_page(), re.DOTALL)[1])
    assert np.shape(data["shots"][0]["weights"][0]) == (3, 16)
    assert data["shots"][0]["figures"] == {"loss": None}
    assert data["shots"][0]["values"][1] == [[None] * 3]


@needs_browser
def test_slider_keys_and_units(tmp_path):
    _, snapshots = trained()
    page = snapshots.to_page(inputs=["a", "b", "c"], outputs=["no", "yes"], samples={"x": 0, "y": 3})
    found = act(tmp_path, page, """
        const seen = {start: text("figures"), max: document.getElementById("slider").max};
        press("ArrowRight"); seen.right = text("figures"); press("End"); press("ArrowRight"); seen.end = text("figures");
        type(document.getElementById("slider"), "2"); seen.slider = text("figures"); seen.address = location.hash;
        click("back"); seen.back = text("figures");
        seen.counts = ["circle.unit", "line", "#weights svg", "#values svg", "#curves svg"].map(q => document.querySelectorAll(q).length);
        const unit = () => document.querySelector('circle.unit[data-column="1"][data-unit="2"]');
        press("Enter", unit()); seen.unit = text("unit"); seen.pressed = unit().getAttribute("aria-pressed");
        type(document.getElementById("sample"), "1"); seen.other = text("unit");
        press("Escape"); seen.quiet = text("unit");
        seen.narrow = document.documentElement.scrollWidth <= document.documentElement.clientWidth;
        return seen;
    """, width=500)  # fmt: skip
    first, last = snapshots.shots[0], snapshots.shots[-1]
    assert found["start"].startswith(f"epoch 0, loss {first.figures['loss']:.3g}"[:13])
    assert found["max"] == "3"
    assert found["right"].startswith("epoch 1, ")
    assert found["end"].startswith(f"epoch {last.moment}, ")
    assert found["slider"].startswith("epoch 2, ")
    assert (found["address"], found["back"][:8]) == ("#3", "epoch 1,")
    assert found["counts"] == [
        9,
        12 + 8 + 2 + 2 + 2,
        2,
        2,
        1,
    ]  # edges, the base lines of four histograms, the curve's two
    assert found["unit"].startswith("unit 3 of 0: value ")
    assert found["unit"].count("bias") == 1
    assert found["pressed"] == "true"
    assert found["other"] != found["unit"]
    assert found["quiet"] == ""
    assert found["narrow"]


@needs_browser
def test_curves_say_where_they_begin_and_end_and_nothing_covers_anything(tmp_path):
    _, snapshots = trained()
    for shot, accuracy in zip(snapshots.shots, (0.25, 0.5, 0.5, 0.75), strict=True):
        shot.figures["accuracy"] = accuracy
    found = act(tmp_path, snapshots.to_page(), """
        const box = e => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
        return [...document.querySelectorAll("#curves figure")].map(f => ({
            caption: f.querySelector("figcaption").textContent, frame: box(f.querySelector("svg")),
            texts: [...f.querySelectorAll("text")].map(e => [e.textContent, box(e)]),
            curve: box(f.querySelector("polyline")), axis: box(f.querySelector(".axis")), figure: box(f)}));
    """)  # fmt: skip
    first, last = snapshots.shots[0].figures["loss"], snapshots.shots[-1].figures["loss"]
    numbers = re.fullmatch(r"loss: (\S+) at the start, (\S+) at the end", found[0]["caption"])
    assert [float(n) for n in numbers.groups()] == pytest.approx([first, last], rel=0.01)
    assert found[1]["caption"] == "accuracy: 0.25 at the start, 0.75 at the end"
    for curve in found:
        left, _, right, bottom = curve["frame"]
        assert [text for text, _ in curve["texts"]] == ["epoch 0", "epoch 5"]
        for _, (x0, y0, x1, y1) in curve["texts"]:
            assert left - 0.5 <= x0 < x1 <= right + 0.5  # nothing is cut off
            assert curve["axis"][3] - 3 <= y0 < y1 <= bottom + 0.5
        assert curve["curve"][3] < curve["axis"][1] + 1
    assert found[1]["figure"][1] > found[0]["figure"][3]


@needs_browser
def test_what_is_not_finite_is_shown_too(tmp_path):
    snapshots = explore.Snapshots(nn.Linear(20, 3), np.full((2, 20), np.nan, "float32"))
    snapshots.take(0, loss=np.nan)
    assert act(tmp_path, snapshots.to_page(), 'press("ArrowRight"); return text("figures");') == "epoch 0, loss –"
