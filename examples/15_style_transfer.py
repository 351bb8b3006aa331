"""Neural style transfer: one photograph's content in the style of another picture (Gatys, Ecker, Bethge 2015).

Nothing is trained here but an image.  A fixed network looks at three pictures: the content, the style, and the image
x that is changed until, seen through the network,

    content            its features in one layer are those of the content: what is where; Σ (F − P)²
    style              the Gram matrices of several layers are those of the style: which features occur together,
                       wherever that is; Σ (G − A)² with G = F Fᵀ / (C H W)
    total variation    neighbouring pixels hardly differ; Σ |x − its neighbours|

by L-BFGS on the pixels themselves (arXiv:1508.06576; total variation is a later addition of others).  By default the
pictures are scikit-learn's two photographs, and the network has *random weights*: their statistics catch colours and
small texture, not brush strokes or objects.  Features of SqueezeNet, trained on photographs, by --onnx:

    python examples/15_style_transfer.py
    python examples/15_style_transfer.py --onnx squeezenet_fp16.onnx --content cat.png --style painting.jpg
"""

from __future__ import annotations

import argparse

import numpy as np

import xpnet
from xpnet import data, interchange, nn, optim, plot
from xpnet.explore.landscape import Curve
from xpnet.lesson import start
from xpnet.nn import functional as F

STYLE = ["conv1_2", "fire2/concat_1", "fire3/concat_1", "fire5/concat_1", "fire7/concat_1"]  # of SqueezeNet 1.0
CONTENT = "fire5/concat_1"


def picture(path):
    """The pixels of a file, in colour."""
    try:
        pixels = data.read_image(path)
    except (OSError, data.DataError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if min(pixels.shape[:2]) < 32:
        raise argparse.ArgumentTypeError(f"{path} has {pixels.shape[1]}x{pixels.shape[0]} pixels: at least 32 each way")
    return pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=2)


def squeezenet(path):
    """The network in an ONNX file."""
    try:
        network = interchange.from_onnx(path, backend="numpy", dtype="float32")
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if missing := {*STYLE, CONTENT} - {*network.value_names}:
        raise argparse.ArgumentTypeError(f"{path} is no SqueezeNet: it computes no {min(missing)!r}")
    return network


def count(least):
    """A whole number of at least so much."""

    def read(text):
        if not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, got {text}")
        return int(text)

    return read


def weight(text):
    """A weight of a loss."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, got {text}")
    return value


def add_options(parser):
    """What can be chosen."""
    add = parser.add_argument
    add("--content", type=picture, metavar="FILE", help="what to show (default: scikit-learn's photograph of a temple)")
    add("--style", type=picture, metavar="FILE", help="how to show it (default: scikit-learn's photograph of a flower)")
    add("--onnx", type=squeezenet, metavar="FILE", help="SqueezeNet 1.0 (default: a network with random weights)")
    add("--size", type=count(32), help="pixels of the longer side (default: 256)")
    add("--iterations", type=count(2), help="default: 80")
    add("--optimizer", choices=["lbfgs", "adam"], default="lbfgs")
    add("--style-weight", type=weight, help="against 1 for the content (default: 10 for SqueezeNet, 3 for random)")
    add("--tv-weight", type=weight, default=0.5, help="of the total variation (default: 0.5)")
    add("--noise", action="store_true", help="start from noise, as in the paper, rather than from the content")


lesson = start(__doc__, __file__, add_options)
options, backend, say = lesson.options, lesson.backend, lesson.say
size = options.size or (64 if lesson.quick else 256)
iterations = options.iterations or (12 if lesson.quick else 80)


def prepared(pixels):
    """uint8 (H, W, 3) -> (1, 3, h, w) in 0..1, the longer side as long as asked: each pixel the mean of an area."""
    scale = min(1.0, size / max(pixels.shape[:2]))
    shape = tuple(max(32, round(scale * side)) for side in pixels.shape[:2])
    x = backend.asarray(data.to_float(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])))
    return F.adaptive_avg_pool2d(x, shape)


if options.content is None or options.style is None:
    try:
        from sklearn.datasets import load_sample_images

        temple, flower = load_sample_images().images
    except ImportError as error:
        raise SystemExit(f"{error}: pip install scikit-learn pillow, or give --content and --style") from None
content = prepared(temple if options.content is None else options.content)
style = prepared(flower if options.style is None else options.style)


# -- The eye: features by layer, the first ones for the style, the last for the content.
class RandomNetwork(nn.Module):
    """VGG's pattern, 3x3 convolutions and pools, with random weights; mean pools, as the paper prefers."""

    def __init__(self, widths=(24, 48, 96, 128)):
        super().__init__()
        self.stages = nn.ModuleList()
        for i, width in enumerate(widths):
            first = nn.Conv2d(widths[i - 1] if i else 3, width, 3, padding=1)
            self.stages.append(nn.Sequential(first, nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU()))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def forward(self, x):
        x, found = x * 4.0 - 2.0, []
        for i, stage in enumerate(self.stages):
            x = stage(F.avg_pool2d(x, 2) if i else x)
            found.append(x)
        return found, found[1]


if options.onnx is None:
    network = RandomNetwork()
    say("The network has random weights: it was never shown a picture.  (--onnx FILE takes SqueezeNet.)")
    look = network
else:
    network = options.onnx.to(backend=backend)
    # SqueezeNet wants blue, green, red in 0..255, minus the mean colour of ImageNet: a 1x1 convolution does it.
    swap = backend.asarray(255.0 * np.eye(3)[::-1, :, None, None], "float32")
    shift = backend.asarray([-103.94, -116.78, -123.68], "float32")

    def look(x):
        """The features of the layers above."""
        found = network.features(F.conv2d(x, swap, shift), {*STYLE, CONTENT})
        return [found[name] for name in STYLE], found[CONTENT]

    say("The network is SqueezeNet, trained on ImageNet's photographs, from the file given.")
network.requires_grad_(False)

with xpnet.no_grad():
    goal_content = look(content)[1]
    goal_style = [F.gram_matrix(features) for features in look(style)[0]]


# -- The losses.  Each is relative to its goal, so that layers count alike whatever the scale of their features (the
# -- paper rescales its network to the same end); G is divided by C·H·W, so that the pictures may differ in size.
def relative(values, goal):
    """``Σ (values − goal)² / Σ goal²``."""
    return ((values - goal) ** 2).sum() / (goal * goal).sum()


def losses(x):
    """Content, style, total variation for each pixel value."""
    style_features, content_features = look(x)
    of_style = [relative(F.gram_matrix(f), goal) for f, goal in zip(style_features, goal_style, strict=True)]
    return relative(content_features, goal_content), sum(of_style) / len(of_style), F.total_variation(x) / x.size


# -- The image.  Its pixels are σ(z): whatever z becomes, they stay within 0..1, which is what a file can hold.
style_weight = options.style_weight if options.style_weight is not None else 3.0 if options.onnx is None else 10.0
weights = {"content": 1.0, "style": style_weight, "total variation": options.tv_weight}
begin = content.numpy().clip(0.02, 0.98)
if options.noise:
    begin = np.random.default_rng(lesson.seed).uniform(0.3, 0.7, begin.shape).astype("float32")
z = nn.Parameter(backend.asarray(np.log(begin / (1.0 - begin))))
history = {name: [] for name in weights}


def closure():
    """One evaluation: the loss, its parts on record, and its gradient with respect to z."""
    parts = losses(z.sigmoid())
    for record, part in zip(history.values(), parts, strict=True):
        record.append(part.item())
    loss = sum(w * part for w, part in zip(weights.values(), parts, strict=True))
    z.grad = None
    loss.backward()
    return loss


if options.optimizer == "lbfgs":
    optimizer = optim.LBFGS(
        [z], max_iter=iterations, max_eval=iterations, line_search_fn="strong_wolfe", history_size=20
    )
    optimizer.step(closure)  # several evaluations where the line search needs them
else:
    optimizer = optim.Adam([z], lr=0.05)
    for _ in range(iterations):
        closure()
        optimizer.step()

with xpnet.no_grad():
    result = z.sigmoid()
    final = {name: part.item() for name, part in zip(weights, losses(result), strict=True)}
say(f"{len(history['content'])} evaluations by {options.optimizer}, {content.shape[3]}x{content.shape[2]} pixels:")
for name, w in weights.items():
    say(f"  {name:15} (weight {w:g}): {history[name][0]:.4f} at the start, {final[name]:.4f} in the result")


def pixels(x):
    """(1, 3, H, W) in 0..1 -> uint8 (H, W, 3)."""
    return np.rint(x.numpy()[0].transpose(1, 2, 0) * 255).astype(np.uint8)


shown = {"content": pixels(content), "style": pixels(style), "result": pixels(result)}
lesson.draw("pictures", lambda: plot.pictures(shown))
try:
    data.write_image(lesson.out / "result.png", shown["result"])
except ImportError as error:  # no Pillow
    say(str(error))
curves = {
    f"{name}, times {w:g}": Curve(np.arange(len(history[name])), w * np.array(history[name]))
    for name, w in weights.items()
}
lesson.draw("losses", lambda: plot.loss_curves(curves, heading="The terms of the loss", x_label="evaluation", log=True))
lesson.finish({"network": "random" if options.onnx is None else "onnx", "final": final, "history": history})
