"""State dicts that fit in part, or under other names."""

import warnings

import numpy as np
import pytest

from xpnet import nn


def net():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def other_values(model):
    return {key: np.asarray(value) + 1 for key, value in model.state_dict().items()}


def equal(model, values):
    return all(np.array_equal(value, values[key]) for key, value in model.state_dict().items())


def test_missing_and_unexpected_keys_are_returned():
    model = net()
    state = other_values(model)
    found = model.load_state_dict(state)
    assert equal(model, state)
    assert found == ([], [])
    assert repr(found) == "<All keys matched successfully>"
    del state["0.weight"], state["2.bias"]
    found = model.load_state_dict({**state, "head.weight": np.zeros(1)}, strict=False)
    assert found.missing_keys == ["0.weight", "2.bias"]
    assert found.unexpected_keys == ["head.weight"]
    missing, unexpected = found
    assert (missing, unexpected) == (found.missing_keys, found.unexpected_keys)
    assert repr(found) == "IncompatibleKeys(missing_keys=['0.weight', '2.bias'], unexpected_keys=['head.weight'])"


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "net.", "_orig_mod.module.", "a.b.c."])
def test_a_prefix_before_every_key(prefix):
    model = net()
    before, state = model.state_dict(), other_values(model)
    state = {prefix + key: value for key, value in state.items()}
    advice = f"9 of its keys fit without the prefix '{prefix}': load "
    with pytest.raises(ValueError, match="does not fit Sequential") as caught:
        model.load_state_dict(state)
    assert advice in str(caught.value)
    with pytest.warns(UserWarning, match=r"loaded nothing: Sequential has none of the 9 keys") as said:
        found = model.load_state_dict(state, strict=False)
    assert advice in str(said[0].message)
    assert len(said) == 1
    assert equal(model, before)
    assert found.unexpected_keys == list(state)
    assert found.missing_keys == [key for key in before if key != "1.num_batches_tracked"]
    stripped = {key.removeprefix(prefix): value for key, value in state.items()}
    fix = str(said[0].message).partition(": load ")[2]
    assert list(eval(fix, {"state": state})) == list(stripped), "the advice is right as it stands"
    model.load_state_dict(stripped)
    assert equal(model, stripped)


def test_a_prefix_is_said_beside_keys_that_are_too_many():
    model = net()
    state = {f"module.{key}": value for key, value in other_values(model).items()} | {"module.head.bias": np.zeros(2)}
    with pytest.raises(ValueError, match=r"9 of its keys fit without the prefix 'module\.'"):
        model.load_state_dict(state)


def test_a_part_of_the_model():
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = net()

    model, state = Wrapped(), other_values(net())
    with pytest.raises(ValueError, match="9 of its keys fit the part 'backbone' of this model: load it into that part"):
        model.load_state_dict(state)
    with pytest.warns(UserWarning, match="loaded nothing: Wrapped has none of the 9 keys, such as '0.weight'"):
        model.load_state_dict(state, strict=False)
    model.backbone.load_state_dict(state)
    assert equal(model.backbone, state)


def test_a_state_dict_within_a_checkpoint():
    model = net()
    checkpoint = {"epoch": 3, "model": other_values(model)}
    with pytest.raises(ValueError, match=r"state\['model'\] is a dict itself: load that one"):
        model.load_state_dict(checkpoint)
    with pytest.warns(UserWarning, match=r"state\['model'\] is a dict itself"):
        model.load_state_dict(checkpoint, strict=False)


def test_names_that_have_nothing_in_common_get_no_advice():
    model = net()
    state = {"conv.kernel": np.zeros(1), "x": np.zeros(2), 3: np.zeros(1)}
    with pytest.raises(ValueError, match=r"unexpected: conv\.kernel") as caught:
        model.load_state_dict(state)
    assert "fit" not in str(caught.value).partition("\n")[2]
    with pytest.warns(UserWarning, match="loaded nothing: Sequential has none of the 3 keys, such as 'conv.kernel'$"):
        model.load_state_dict(state, strict=False)


def test_what_fits_in_part_is_no_warning():
    model = net()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.load_state_dict({"0.bias": np.ones(4), "head": np.zeros(1)}, strict=False)
        found = model.load_state_dict({}, strict=False)
    assert model[0].bias.tolist() == [1, 1, 1, 1]
    assert len(found.missing_keys) == 8


@pytest.mark.parametrize("strict", [True, False])
def test_files_from_before_batches_were_counted(strict, backend):
    model = nn.Sequential(nn.Linear(3, 4, backend=backend), nn.BatchNorm1d(4, backend=backend))
    model(backend.asarray(np.ones((4, 3), "float32")))
    state = {key: backend.to_numpy(value) for key, value in model.state_dict().items()}
    assert state.pop("1.num_batches_tracked") == 1
    assert model.load_state_dict(state, strict=strict) == ([], [])
    assert backend.to_numpy(model[1].num_batches_tracked) == 0
    assert type(model[1].num_batches_tracked) is backend.array_type


def test_a_count_is_kept_where_the_statistics_are():
    model = net()
    model(np.ones((4, 3), "float32"))
    found = model.load_state_dict({"0.bias": np.ones(4)}, strict=False)
    assert "1.num_batches_tracked" not in found.missing_keys
    assert model[1].num_batches_tracked == 1


@pytest.mark.parametrize("strict", [True, False])
def test_shapes_must_fit_also_where_keys_need_not(strict):
    model = net()
    before = model.state_dict()
    state = {**other_values(model), "2.weight": np.zeros((10, 4)), "0.bias": [0.0] * 4}
    with pytest.raises(ValueError, match=r"2\.weight: expected shape \(2, 4\), got \(10, 4\)"):
        model.load_state_dict(state, strict=strict)
    assert equal(model, before)
    model.load_state_dict({"0.bias": [1.0, 2.0, 3.0, 4.0]}, strict=False)
    assert model[0].bias.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(("state", "match"), [
    ("best.safetensors", r"got 'best.safetensors': read the file first, with xpnet.load\(path\)"),
    (nn.Linear(1, 1), r"got Linear: pass Linear.state_dict\(\)"),
    ([1, 2], "got list"),
])  # fmt: skip
def test_what_is_no_state_dict(state, match):
    with pytest.raises(TypeError, match=match):
        net().load_state_dict(state)
