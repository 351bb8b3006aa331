from __future__ import annotations

import numpy as np
import pytest

import xpnet
from xpnet import nn, optim
from xpnet.explore import landscape
from xpnet.nn import functional as F
from xpnet_backends import to_numpy


def network(backend=None):
    layers = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(12, 4)
    return nn.Sequential(*layers)


def some_batches(sizes=(5, 3)):
    rng = np.random.default_rng(0)
    return [(rng.standard_normal((n, 2, 4, 4)).astype("float32"), rng.integers(0, 4, n)) for n in sizes]


def held(model):
    """Everything that must be as before."""
    arrays = {n: p.data for n, p in model.named_parameters()} | dict(model.named_buffers())
    return {n: (id(a), to_numpy(a).tobytes()) for n, a in arrays.items()}, [m.training for m in model.modules()]


def test_directions_have_the_lengths_of_the_filters(backend):
    model = network()
    d = landscape.random_direction(model, 1)
    for name, w in landscape.snapshot(model).items():
        if w.ndim < 2:
            assert not d[name].any(), name
        else:
            axes = tuple(range(1, w.ndim))
            np.testing.assert_allclose((d[name] ** 2).sum(axis=axes), (w**2).sum(axis=axes), rtol=1e-5)
    assert {n for n, x in d.items() if x.any()} == {"0.weight", "5.weight"}


def test_directions_depend_on_seed_and_number_alone():
    model = network()
    first = landscape.random_direction(model)
    xpnet.tensor([1.0])
    again, other = landscape.random_direction(model), landscape.random_direction(model, 1)
    np.testing.assert_array_equal(first["5.weight"], again["5.weight"])
    assert abs((first["5.weight"] * other["5.weight"]).sum()) < 0.5 * (first["5.weight"] ** 2).sum()
    xpnet.manual_seed(1)
    assert (landscape.random_direction(model)["5.weight"] != first["5.weight"]).any()


def test_the_scale_of_norm_layers_stays_whatever_its_shape():
    model = nn.Sequential(nn.LayerNorm((2, 3)), nn.Flatten(), nn.Linear(6, 2))
    d = landscape.random_direction(model)
    assert d["0.weight"].shape == (2, 3)
    assert not d["0.weight"].any()
    assert d["2.weight"].any()


def test_a_filter_of_zeros_stays_and_so_does_a_raw_direction_s_length():
    model = nn.Linear(50, 40)
    model.weight.data[0] = 0
    assert not landscape.random_direction(model)["weight"][0].any()
    raw = landscape.random_direction(model, normalize=False)["weight"]
    assert raw.std() == pytest.approx(1, abs=0.1)
    assert abs(raw.mean()) < 0.1


def test_a_network_with_rescaled_layers_has_the_same_landscape():
    """ReLU networks compute the same after W1 *= 10, W2 /= 10; filter-normalised slices do not see it."""
    model = nn.Sequential(nn.Linear(6, 8, bias=False), nn.ReLU(), nn.Linear(8, 4, bias=False))
    rng = np.random.default_rng(1)
    batches = [(rng.standard_normal((20, 6)).astype("float32"), rng.integers(0, 4, 20))]

    def curve():
        return landscape.along(model, F.cross_entropy, batches, landscape.random_direction(model), [-1, 0, 1]).losses

    before = curve()
    model[0].weight.data[...] *= 10
    model[2].weight.data[...] /= 10
    np.testing.assert_allclose(curve(), before, rtol=1e-4)


def test_slices_are_the_loss_at_those_weights_and_leave_no_trace(backend):
    model = network()
    optimizer = optim.Adam(model.parameters())  # weights are now views of one vector
    model(backend.asarray(some_batches()[0][0]))  # running statistics that are not the first ones
    model[1].eval()  # a layer with a mode of its own
    before = held(model)
    batches = some_batches()
    first, second = landscape.random_direction(model, 0), landscape.random_direction(model, 1)
    xs, ys = [-0.5, 0.0, 1.0], [0.0, 0.25]
    surface = landscape.across(model, F.cross_entropy, batches, first, second, xs, ys)
    curve = landscape.along(model, F.cross_entropy, batches, first, xs)
    assert held(model) == before
    np.testing.assert_allclose(surface.losses[0], curve.losses, rtol=1e-6)

    start, modes = model.state_dict(), [m.training for m in model.modules()]
    moved = {n: start[n] + backend.asarray(1.0 * first[n] + 0.25 * second[n]) for n in first}
    model.load_state_dict({**start, **moved})
    model.eval()
    x, t = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    with xpnet.no_grad():
        expected = F.cross_entropy(model(backend.asarray(x)), backend.asarray(t)).item()
    assert surface.losses[1, 2] == pytest.approx(expected, rel=1e-5)  # batches of 5 and 3, weighted
    assert modes[0]
    assert optimizer is not None


def test_all_is_put_back_after_an_error(backend):
    model = network()
    before = held(model)

    def broken(y, t):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        landscape.along(model, broken, some_batches(), landscape.random_direction(model), [1.0])
    assert held(model) == before
    assert xpnet.is_grad_enabled()


def test_the_line_between_two_solutions_takes_running_statistics_along(backend):
    model = network()
    x, t = some_batches((8,))[0]
    start = model.state_dict()
    model(backend.asarray(x))
    model[5].weight.data[...] += 0.5
    end = model.state_dict()
    before = held(model)
    curve = landscape.between(model, F.cross_entropy, [(x, t)], start, end, [-3.0, 0.0, 1.0, 3.0])
    assert held(model) == before
    assert np.isfinite(curve.losses).all()  # no negative variances
    for state, found in ((start, curve.losses[1]), (end, curve.losses[2])):
        model.load_state_dict(state)
        with xpnet.no_grad():
            expected = F.cross_entropy(model.eval()(backend.asarray(x)), backend.asarray(t)).item()
        assert found == pytest.approx(expected, rel=1e-5)


def test_the_plane_of_a_path_that_lies_in_one():
    model = nn.Linear(3, 2)
    origin = landscape.snapshot(model)
    u, v = ({n: np.random.default_rng(i).standard_normal(w.shape) for n, w in origin.items()} for i in (1, 2))
    path = [{n: origin[n] + s * u[n] + s * s * v[n] for n in origin} for s in np.linspace(1, 0, 6)]
    plane = landscape.pca_plane(model, path)
    assert sum(plane.explained) == pytest.approx(1)
    assert plane.explained[0] >= plane.explained[1]
    places, distances = plane.project(path)
    np.testing.assert_allclose(places[-1], 0, atol=1e-12)  # through the last point
    np.testing.assert_allclose(distances, 0, atol=1e-7)
    back = {n: plane.origin[n] + places[0, 0] * plane.first[n] + places[0, 1] * plane.second[n] for n in origin}
    for name, w in path[0].items():
        np.testing.assert_allclose(back[name], w, atol=1e-7)
    assert (places[-1] >= places[0]).all()  # the signs are settled


def test_distances_from_the_plane_and_another_point_for_it():
    model = nn.Linear(4, 1, bias=False)
    path = [{"weight": np.array([row], dtype=float)} for row in ([0, 0, 0, 0], [4, 0, 0, 0], [4, 2, 0, 0])]
    plane = landscape.pca_plane(model, path, through={"weight": np.array([[0.0, 0, 3, 0]])})
    places, distances = plane.project(path)
    np.testing.assert_allclose(distances, 3)
    assert np.linalg.norm(places[1] - places[0]) == pytest.approx(4)


def test_a_plane_s_surface_passes_through_the_path(backend):
    model = nn.Linear(6, 4)
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((10, 6)).astype("float32"), rng.integers(0, 4, 10)
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    path = [landscape.snapshot(model)]
    for _ in range(3):
        optimizer.zero_grad()
        last = F.cross_entropy(model(backend.asarray(x)), backend.asarray(t))
        last.backward()
        optimizer.step()
        path.append(landscape.snapshot(model))
    plane = landscape.pca_plane(model, path)
    surface = landscape.across(
        model, F.cross_entropy, [(x, t)], plane.first, plane.second, [0.0], [0.0], origin=plane.origin
    )
    with xpnet.no_grad():
        end = F.cross_entropy(model(backend.asarray(x)), backend.asarray(t)).item()
    assert surface.losses[0, 0] == pytest.approx(end, rel=1e-5)


def test_wrong_use():
    model = nn.Linear(2, 3)
    batches = [(np.zeros((4, 2), "float32"), np.zeros(4, int))]
    d = landscape.random_direction(model)
    with pytest.raises(ValueError, match=r"steps must be a list of finite numbers"):
        landscape.along(model, F.cross_entropy, batches, d, [])
    with pytest.raises(ValueError, match="at least one pair of inputs and targets"):
        landscape.along(model, F.cross_entropy, [], d, [0])
    with pytest.raises(ValueError, match=r"'bias' is missing; there are 'weight'"):
        landscape.along(model, F.cross_entropy, batches, {"weight": d["weight"]}, [0])
    with pytest.raises(ValueError, match=r"'weight' must have shape \(3, 2\), got \(2, 3\)"):
        landscape.along(model, F.cross_entropy, batches, {**d, "weight": d["weight"].T}, [0])
    with pytest.raises(ValueError, match=r"loss must give one number, .* got shape \(4, 3\)"):
        landscape.along(model, lambda y, t: y, batches, d, [0])
    with pytest.raises(ValueError, match="no parameters"):
        landscape.along(nn.ReLU(), F.cross_entropy, batches, d, [0])
    path = [landscape.snapshot(model)] * 4
    with pytest.raises(ValueError, match="at least 3 points to span a plane, got 2"):
        landscape.pca_plane(model, path[:2])
    with pytest.raises(ValueError, match="lies on a line, or in one point"):
        landscape.pca_plane(model, path)
    with pytest.raises(ValueError, match="not finite"):
        landscape.pca_plane(model, [*path, {**path[0], "bias": np.array([np.nan, 0, 0])}])
