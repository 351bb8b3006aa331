from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import LogNorm

from xpnet import plot
from xpnet.explore.landscape import Curve, Surface

XS, YS = np.linspace(-1, 1, 7), np.linspace(-2, 2, 9)
BOWL = Surface(XS, YS, 0.01 + XS[None] ** 2 + YS[:, None] ** 2)


def drawn(figure, tmp_path):
    plot.save(figure, tmp_path / "x.png")
    return (tmp_path / "x.png").read_bytes()


def test_curves_by_name(tmp_path):
    steps = np.linspace(-1, 1, 5)
    figure = plot.loss_curves({"a": Curve(steps, steps**2), "b": Curve(steps, np.array([np.inf, 1, 2, 1, 1]))})
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["a", "b"]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), steps**2)
    assert np.isnan(axes.lines[1].get_ydata()[0])
    assert drawn(figure, tmp_path)
    assert plot.loss_curves({"a": Curve(steps, steps**2 + 1)}, log=True).axes[0].get_yscale() == "log"


def test_contours_with_paths(backend, tmp_path):
    path = backend.asarray([[-0.8, 1.5], [-0.3, 0.5], [0.0, 0.0]])
    figure = plot.loss_contours(BOWL, {"SGD": path, "Adam": path}, heading="Paths", labels=("one", "two"))
    axes, bar = figure.axes
    assert axes.get_title("left") == "Paths"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("one", "two")
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["SGD", "Adam"]
    ends = [line.get_xydata().tolist() for line in axes.lines if len(line.get_xdata()) == 1]
    assert ends == [[[-0.8, 1.5]], [[0.0, 0.0]]] * 2  # start and end of each
    assert axes.get_xlim() == (-1, 1)
    figure.canvas.draw()
    assert [t.get_text() for t in bar.get_yticklabels()] == ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5"]
    assert isinstance(axes.collections[0].norm, LogNorm)


def test_surfaces_side_by_side_share_their_levels(tmp_path):
    high = Surface(XS, YS, 100 * BOWL.losses)
    for draw in (plot.loss_contours, plot.loss_surface):
        figure = draw({"low": BOWL, "high": high})
        panels = [axes for axes in figure.axes if axes.get_title("left")]
        assert [axes.get_title("left") for axes in panels] == ["low", "high"]
        assert len({tuple(axes.collections[0].get_clim()) for axes in panels}) == 1
        assert drawn(figure, tmp_path)


def test_the_axes_of_a_surface_are_named():
    axes = plot.loss_surface(BOWL).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_zlabel()) == ("first direction", "second direction", "loss")
    axes = plot.loss_surface(BOWL, labels=("one", "two")).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("one", "two")


def test_a_linear_scale_and_a_top(tmp_path):
    figure = plot.loss_contours(BOWL, log=False, top=2.0)
    assert not isinstance(figure.axes[0].collections[0].norm, LogNorm)
    assert figure.axes[0].collections[0].get_clim() == pytest.approx((0.01, 2.0))
    surface = plot.loss_surface(BOWL, log=False, top=2.0).axes[0]
    assert surface.get_zlim() == pytest.approx((0.01, 2.0))


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize(
    "losses",
    [
        np.full((2, 2), 3.0),  # flat
        np.array([[1.0, np.inf], [np.nan, 2.0]]),  # overflowed far away
        np.array([[1e-30, 1.0], [1e20, 2.0]]),
        np.array([[0.0, 1.0], [0.5, 2.0]]),
    ],
)
def test_extreme_losses(losses, log, tmp_path):
    surface = Surface(np.arange(2.0), np.arange(2.0), losses)
    assert drawn(plot.loss_contours(surface, log=log), tmp_path)
    assert drawn(plot.loss_surface(surface, log=log), tmp_path)


def test_wrong_use():
    with pytest.raises(ValueError, match="at least one curve"):
        plot.loss_curves({})
    with pytest.raises(ValueError, match="loss_curves: there is no finite loss to draw"):
        plot.loss_curves({"a": Curve(XS, XS * np.nan)})
    with pytest.raises(ValueError, match="loss_curves: a logarithmic scale needs losses above 0"):
        plot.loss_curves({"a": Curve(XS, -(XS**2))}, log=True)
    with pytest.raises(ValueError, match="loss_contours: nothing to draw"):
        plot.loss_contours({})
    with pytest.raises(ValueError, match=r"'x' must have losses \(len\(ys\), len\(xs\)\), .* got \(7, 9\)"):
        plot.loss_surface({"x": Surface(XS, YS, BOWL.losses.T)})
    with pytest.raises(ValueError, match="has no finite loss"):
        plot.loss_contours(Surface(XS, YS, BOWL.losses * np.nan))
    with pytest.raises(ValueError, match=r"logarithmic scale needs positive losses, .* draw with log=False"):
        plot.loss_contours(Surface(XS, YS, -BOWL.losses))
    with pytest.raises(ValueError, match=r"the path of 'SGD' must have shape \(K, 2\), got \(3,\)"):
        plot.loss_contours(BOWL, {"SGD": [1, 2, 3]})
