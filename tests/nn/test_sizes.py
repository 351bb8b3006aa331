"""Sizes that cannot be: an error that names them, not an empty result."""

import numpy as np
import pytest

from xpnet import nn
from xpnet.nn import functional as F

IMAGE, LINE = np.ones((1, 2, 4, 4), "f"), np.ones((1, 2, 4), "f")
SMALL, NOTHING = np.ones((1, 2, 1, 1), "f"), np.ones((1, 2, 0, 4), "f")
KERNEL, TURNED = np.ones((3, 2, 2, 2), "f"), np.ones((2, 3, 2, 2), "f")


@pytest.mark.parametrize(("call", "message"), [
    (lambda: F.conv_transpose2d(SMALL, TURNED, padding=2), r"height 1, kernel 2, .*padding 2 .* would give -2"),
    (lambda: F.conv_transpose2d(SMALL, TURNED, padding=1), "would give 0: at least 1 is needed"),
    (lambda: F.conv_transpose2d(IMAGE, TURNED, padding=(0, 3)), "width 4, kernel 2.* would give -1"),
    (lambda: F.conv_transpose2d(NOTHING, TURNED), "height 0"),
    (lambda: nn.ConvTranspose2d(2, 3, 2, padding=2)(SMALL), "would give -2"),
    (lambda: F.conv_transpose2d(IMAGE, TURNED[:, :, :0]), "kernel 0"),
    (lambda: F.conv2d(IMAGE, np.ones((3, 2, 5, 5), "f")), "height 4 .*smaller than the kernel"),
    (lambda: F.conv2d(IMAGE, KERNEL, dilation=4), "smaller than the kernel"),
    (lambda: F.conv2d(NOTHING, KERNEL), "height 0"),
    (lambda: F.conv2d(IMAGE, KERNEL[:, :, :0]), "kernel must be at least 1 x 1"),
    (lambda: F.conv1d(LINE, np.ones((3, 2, 5), "f")), "smaller than the kernel"),
    (lambda: F.conv1d(LINE, np.ones((3, 2, 0), "f")), "kernel must be at least 1 x 1"),
    (lambda: F.max_pool2d(IMAGE, 5), "larger than the input"), (lambda: F.max_pool2d(NOTHING, 2), "larger than the input"),
    (lambda: F.max_pool2d(IMAGE, 0), "kernel_size must be .* >= 1"), (lambda: F.max_pool1d(LINE, 5), "larger than the input"),
    (lambda: F.avg_pool2d(IMAGE, 5), "larger than the input"), (lambda: F.avg_pool1d(LINE, 5), "larger than the input"),
    (lambda: F.avg_pool2d(IMAGE, 2, divisor_override=0), "divisor_override must not be 0"),
    (lambda: F.max_pool2d(IMAGE, 2, -1), "stride must be .* >= 1"), (lambda: F.max_pool2d(IMAGE, 2, padding=-1), "padding must be .* >= 0"),
    (lambda: F.adaptive_avg_pool2d(IMAGE, 0), "output_size must be .* >= 1"),
    (lambda: F.adaptive_max_pool2d(IMAGE, (2, -1)), "output_size must be .* >= 1"),
    (lambda: F.adaptive_avg_pool2d(NOTHING, 2), "nothing to pool"), (lambda: F.adaptive_max_pool2d(NOTHING, 2), "nothing to pool"),
    (lambda: F.adaptive_avg_pool1d(LINE, 0), "output_size must be .* >= 1"),
    (lambda: F.interpolate(IMAGE, 0), "size must be .* >= 1"), (lambda: F.interpolate(IMAGE, scale_factor=0.1), "size must be .* >= 1"),
    (lambda: F.interpolate(IMAGE, scale_factor=0.0), "scale_factor must be .* above 0, got 0.0"),
    (lambda: F.interpolate(IMAGE, scale_factor=float("nan")), "scale_factor must be"),
    (lambda: F.interpolate(IMAGE, scale_factor=(-1.0, 2.0)), "scale_factor must be"),
    (lambda: F.interpolate(IMAGE, scale_factor=float("inf")), "scale_factor must be"),
    (lambda: F.interpolate(NOTHING, 3), r"images of shape \(0, 4\) have no pixels"),
    (lambda: nn.Upsample(scale_factor=-2.0)(IMAGE), "scale_factor must be"),
    (lambda: F.pad(IMAGE, (-1, 0)), "whole numbers >= 0"), (lambda: F.pad(NOTHING, (0, 0, 1, 1), "replicate"), "not empty"),
    (lambda: F.pad(NOTHING, (0, 0, 1, 1), "reflect"), "longer axis"), (lambda: F.pad(NOTHING, (0, 0, 1, 1), "circular"), "longer axis"),
])  # fmt: skip
def test_sizes_that_cannot_be(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_smallest_sizes_that_can_be():
    assert F.conv_transpose2d(IMAGE, TURNED, padding=2).shape == (1, 3, 1, 1)
    assert F.conv2d(IMAGE, np.ones((3, 2, 4, 4), "f")).shape == (1, 3, 1, 1)
    assert F.max_pool2d(IMAGE, 4).shape == F.adaptive_avg_pool2d(IMAGE, 1).shape == (1, 2, 1, 1)
    assert F.interpolate(SMALL, scale_factor=3, mode="bilinear").shape == (1, 2, 3, 3)
    assert F.pad(NOTHING, (0, 0, 1, 1)).shape == (1, 2, 2, 4)
    for batch in (
        F.conv_transpose2d(IMAGE[:0], TURNED),
        F.adaptive_avg_pool2d(IMAGE[:0], 2),
        F.interpolate(IMAGE[:0], 2),
    ):
        assert batch.shape[0] == 0
