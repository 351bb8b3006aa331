"""Neural style transfer: one photograph's content in the style of another picture (Gatys, Ecker, Bethge 2015).

Why: it shows what a fixed network sees: here the weights stay as they are, and the image is what is trained.
Look at: pictures.png, the content, the style and the result side by side, and the three terms of the loss.

Nothing is trained here but an image.  A fixed network looks at three pictures: the content, the style, and the image
x that is changed until, seen through the network,

    content            the features of one layer should equal those of the content (what is where): Σ (F − P)²
    style              the Gram matrices of several layers should equal those of the style (which features occur
                       together, at any position): Σ (G − A)² with G = F Fᵀ / (C H W)
    total variation    neighbouring pixels should differ little: Σ |x − its neighbours|

By default the pictures are scikit-learn's two photographs, and the network has *random weights*.  Their statistics
capture lightness and fine texture, but hardly brush strokes or objects, and each seed gives other colours.  Better
results need a network trained on photographs:

    python examples/15_style_transfer.py
    python examples/15_style_transfer.py --onnx squeezenet_fp16.onnx --content cat.png --style painting.jpg
    python examples/15_style_transfer.py --vgg vgg19-dcbb9e9d.pth --content cat.png --style painting.jpg
"""

from __future__ import annotations

import numpy as np

import xpnet
from xpnet import data, explore, nn, optim, plot
from xpnet.lesson import positive, start
from xpnet.nn import functional as F


def add_options(parser):
    add, network = parser.add_argument, parser.add_mutually_exclusive_group()
    add("--content", metavar="FILE", help="what to show (default: scikit-learn's photograph of a temple)")
    add("--style", metavar="FILE", help="how to show it (default: scikit-learn's photograph of a flower)")
    network.add_argument("--onnx", metavar="FILE", help="SqueezeNet 1.0 (default: a network with random weights)")
    network.add_argument("--vgg", metavar="FILE", help="torchvision's weights of a VGG, .pth or .npz")
    add("--size", type=positive, metavar="N", help="pixels of the longer side, 32 or more (default: 256)")
    add("--iterations", type=positive, metavar="N", help="default: 80")
    add("--optimizer", choices=["lbfgs", "adam"], default="lbfgs")
    add("--style-weight", type=float, help="relative to 1 for the content (default: 10; 3 for random weights)")
    add("--tv-weight", type=float, default=0.5, help="weight of the total variation (default: 0.5)")
    add("--noise", action="store_true", help="start from noise, as in the paper, rather than from the content")


lesson = start(__doc__, __file__, add_options)
options, backend = lesson.options, lesson.backend
size = options.size or (64 if lesson.quick else 256)
iterations = options.iterations or (12 if lesson.quick else 80)
random_weights = options.onnx is None and options.vgg is None
if options.style_weight is None:
    options.style_weight = 3.0 if random_weights else 10.0
weights = {"content": 1.0, "style": options.style_weight, "total variation": options.tv_weight}
if size < 32:
    lesson.refuse(f"--size must be at least 32, got {size}")
if not all(0 <= weight < 1e6 for weight in weights.values()):
    lesson.refuse(f"--style-weight and --tv-weight must lie in 0..1,000,000, got {weights}")


# -- The pictures ------------------------------------------------------------------------------------------------------
def prepared(path, otherwise):
    """A file, or the photograph of that name, as (1, 3, H, W) in 0..1, resized to the requested longer side."""
    pixels = data.read_image(path) if path is not None else data.load_photographs()[otherwise]
    height, width = pixels.shape[:2]
    if min(height, width) < 32:
        raise ValueError(f"{path} has {width}x{height} pixels: at least 32 each way")
    if pixels.ndim == 2:  # grey
        pixels = np.stack([pixels] * 3, axis=2)
    scale = min(1.0, size / max(height, width))
    shape = max(32, round(scale * height)), max(32, round(scale * width))
    x = backend.asarray(data.to_float(pixels.transpose(2, 0, 1)[None]))
    return F.adaptive_avg_pool2d(x, shape)  # each pixel is the mean of an area


# -- The network: features of several layers for the style, and of one layer for the content --------------------------
try:
    content, style = prepared(options.content, "temple"), prepared(options.style, "flower")
    if options.onnx is not None:
        eye, about = explore.SqueezeNetFeatures(options.onnx), "is SqueezeNet, trained on ImageNet's photographs"
    elif options.vgg is not None:
        eye, about = explore.VGGFeatures(options.vgg), "is VGG, with the weights in the file given"
    else:
        eye, about = explore.RandomFeatures(), "has random weights, never trained on pictures (see --onnx and --vgg)"
except (OSError, ValueError) as error:
    lesson.refuse(error)
lesson.say(f"The network {about}.")
eye.requires_grad_(False)

with xpnet.no_grad():
    goal_content = eye(content)[1]
    goal_style = [F.gram_matrix(features) for features in eye(style)[0]]


# -- The losses --------------------------------------------------------------------------------------------------------
# Each loss is relative to its target, so that layers have equal weight whatever the scale of their features (the paper
# rescales its network for the same reason); G is divided by C·H·W, so that the pictures may differ in size.
def relative(values, goal):
    """``Σ (values − goal)² / Σ goal²``."""
    return ((values - goal) ** 2).sum() / ((goal * goal).sum() + 1e-12)


def losses(x):
    """The three losses: content, style, and total variation per pixel value."""
    style_features, content_features = eye(x)
    of_style = [relative(F.gram_matrix(f), goal) for f, goal in zip(style_features, goal_style, strict=True)]
    return relative(content_features, goal_content), sum(of_style) / len(of_style), F.total_variation(x) / x.size


# -- The image ---------------------------------------------------------------------------------------------------------
# The pixels are σ(z), so that they stay within 0..1, the range of an image file, for every z.
begin = content.numpy().clip(0.02, 0.98)
if options.noise:
    begin = np.random.default_rng(lesson.seed).uniform(0.3, 0.7, begin.shape).astype("float32")
z = nn.Parameter(backend.asarray(np.log(begin / (1.0 - begin))))
history = {name: [] for name in weights}


def closure():
    """One evaluation: computes the loss and its gradient with respect to z, and records the terms of the loss."""
    parts = losses(z.sigmoid())
    for record, part in zip(history.values(), parts, strict=True):
        record.append(part.item())
    loss = sum(weight * part for weight, part in zip(weights.values(), parts, strict=True))
    z.grad = None
    loss.backward()
    return loss


if options.optimizer == "lbfgs":  # one step is a whole minimisation; its line search may need several evaluations
    optimizer = optim.LBFGS(
        [z], max_iter=iterations, max_eval=iterations, line_search_fn="strong_wolfe", history_size=20
    )
    optimizer.step(closure)
else:
    optimizer = optim.Adam([z], lr=0.05)
    for _ in range(iterations):
        closure()
        optimizer.step()

with xpnet.no_grad():
    result = z.sigmoid()
    final = {name: part.item() for name, part in zip(weights, losses(result), strict=True)}
lesson.say(
    f"{len(history['content'])} evaluations by {options.optimizer}, {content.shape[3]}x{content.shape[2]} pixels:"
)
for name, weight in weights.items():
    lesson.say(f"  {name:15} (weight {weight:g}): {history[name][0]:.4f} at the start, {final[name]:.4f} in the result")

# -- The result --------------------------------------------------------------------------------------------------------
shown = {"content": content.numpy()[0], "style": style.numpy()[0], "result": result.numpy()[0]}
lesson.draw("pictures", lambda: plot.pictures(shown))
terms = {f"{name}, times {weight:g}": weight * np.array(history[name]) for name, weight in weights.items() if weight}
lesson.draw(
    "losses",
    lambda: plot.lines(terms, yscale="log", xlabel="evaluation", ylabel="loss", heading="The terms of the loss"),
)
pixels = np.rint(shown["result"].transpose(1, 2, 0) * 255).astype(np.uint8)
try:
    data.write_image(lesson.out / "result.png", pixels)
except ImportError as error:  # no Pillow
    lesson.say(str(error))
lesson.finish({"network": type(eye).__name__, "final": final, "history": history})
