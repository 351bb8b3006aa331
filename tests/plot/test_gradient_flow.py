from __future__ import annotations

import pytest

from xpnet import plot


def test_one_network(tmp_path):
    figure = plot.gradient_flow({"hidden": 0.001, "output": 0.2}, "flow")
    (axes,) = figure.axes
    assert list(axes.lines[0].get_ydata()) == [0.001, 0.2]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["hidden", "output"]
    assert axes.get_legend() is None
    plot.save(figure, tmp_path / "g.png")


def test_several_are_compared_and_zero_is_marked():
    figure = plot.gradient_flow({"tanh": {"a": 1e-8, "b": 1.0}, "relu": {"a": 0.0, "b": 2.0}})
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["tanh", "relu"]
    assert [t.get_text() for t in axes.texts] == ["0"]
    low, high = axes.get_ylim()
    assert low <= 2e-9
    assert high >= 2
    plot.gradient_flow({"a": 0.0})


@pytest.mark.parametrize(("norms", "message"), [
    ({}, "no layers"), ({"x": {}}, "or of none"), ({"x": {"a": 1}, "y": {"b": 1}}, "different layers"),
    ({"x": {"a": 1}, "y": 2}, "a mixture"),
])  # fmt: skip
def test_what_cannot_be_drawn(norms, message):
    with pytest.raises(ValueError, match=message):
        plot.gradient_flow(norms)


def test_a_thousand_layers_fit_one_picture(tmp_path):
    """They were 550 inches wide, more than matplotlib draws."""
    figure = plot.gradient_flow({f"layer {i}": 1.0 + i for i in range(1000)})
    plot.save(figure, tmp_path / "x.png")
    assert figure.get_size_inches()[0] <= 16
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels[:2] == ["layer 0", "layer 16"]
