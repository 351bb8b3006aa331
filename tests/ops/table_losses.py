"""The table's rows for the losses and activations that came later; their recorded values are in losses.npz."""

from __future__ import annotations

import numpy as np

from tests.ops.table import Make, Row, distinct, labels, normal, positive, row, share, value, with_ignored
from xpnet import ops

REDUCTIONS = ("mean", "sum", "none")


def signs(*shape: int) -> Make:
    """Labels 1 and −1."""
    return lambda rng: rng.choice([1.0, -1.0], shape)


def hard(*shape: int) -> Make:
    """Targets 0 and 1."""
    return lambda rng: rng.integers(0, 2, shape).astype(float)


def wide(*shape: int) -> Make:
    """On both sides of ±3, and none near a kink of the piecewise functions."""
    return lambda rng: (rng.permutation(int(np.prod(shape))) - int(np.prod(shape)) / 2 + 0.3).reshape(shape)


# PyTorch 2.13 takes 1/6 of hardsigmoid and 1/α of celu in float32 in float64 too: hence T.relu6, and α = ½ below
ACTIVATIONS = {
    "celu": "T.celu(a)", "logsigmoid": "T.logsigmoid(a)", "mish": "T.mish(a)", "selu": "T.selu(a)", "silu": "T.silu(a)",
    "softplus": "T.softplus(a)", "softsign": "T.softsign(a)", "tanhshrink": "T.tanhshrink(a)",
    "hardshrink": "T.hardshrink(a)", "hardsigmoid": "T.relu6(a + 3) / 6", "hardswish": "T.hardswish(a)",
    "hardtanh": "T.hardtanh(a)", "softshrink": "T.softshrink(a)",
}  # fmt: skip
KINKS = {
    "hardshrink": [-0.5, 0.5], "hardsigmoid": [-3.0, 3.0], "hardswish": [-3.0, 3.0], "hardtanh": [-1.0, 1.0],
    "softshrink": [-0.5, 0.5], "celu": [0.0], "selu": [0.0],
}  # fmt: skip
TRIPLE = normal(4, 3), normal(4, 3), normal(4, 3)

ROWS: list[Row] = [
    *(row(name, getattr(ops, name), wide(3, 4), torch=text) for name, text in ACTIVATIONS.items()),
    *(row(f"{name} near", getattr(ops, name), normal(3, 4), torch=text) for name, text in ACTIVATIONS.items()),
    *(row(f"{name} empty", getattr(ops, name), normal(0, 3), torch=text) for name, text in ACTIVATIONS.items()),
    *(row(f"{name} 0-d", getattr(ops, name), normal(), torch=text) for name, text in ACTIVATIONS.items()),
    *(row(f"{name} kink", getattr(ops, name), value(x), torch=ACTIVATIONS[name], kink=True) for name, x in KINKS.items()),
    row("celu alpha", ops.celu, normal(3, 4), torch="T.celu(a, 0.5)", alpha=0.5),
    row("softplus options", ops.softplus, wide(3, 4), torch="T.softplus(a, 1.7, 3.0)", beta=1.7, threshold=3.0),
    row("hardtanh limits", ops.hardtanh, wide(3, 4), torch="T.hardtanh(a, -2, 4)", low=-2.0, high=4.0),
    row("hardtanh as relu6", ops.hardtanh, value([-1.0, 0.0, 3.0, 6.0, 7.0]), torch="T.relu6(a)", low=0.0, high=6.0, kink=True),
    row("hardshrink lambd", ops.hardshrink, wide(3, 4), torch="T.hardshrink(a, 2)", lambd=2.0),
    row("softshrink lambd", ops.softshrink, wide(3, 4), torch="T.softshrink(a, 2)", lambd=2.0),
    row("threshold", ops.threshold, wide(3, 4), torch="T.threshold(a, 0.1, -7)", threshold=0.1, value=-7.0),
    row("threshold kink", ops.threshold, value([0.0, 1.0, 2.0]), torch="T.threshold(a, 1, 20)", threshold=1, value=20, kink=True),
    row("glu", ops.glu, normal(3, 4), torch="T.glu(a)"),
    row("glu axis", ops.glu, normal(2, 4, 3), torch="T.glu(a, 1)", axis=1),
    row("prelu", ops.prelu, normal(3, 4), normal(1), torch="T.prelu(a, b)"),
    row("prelu channels", ops.prelu, normal(2, 3, 2, 2), normal(3), torch="T.prelu(a, b)"),
    row("prelu features", ops.prelu, normal(4, 3), normal(3), torch="T.prelu(a, b)"),
    row("prelu vector", ops.prelu, normal(4), normal(1), torch="T.prelu(a, b)"),
    row("prelu 0-d", ops.prelu, normal(), normal(1), torch="T.prelu(a, b)"),
    row("prelu kink", ops.prelu, value([[0.0, 1.0]]), value([0.2, 0.3]), torch="T.prelu(a, b)", kink=True),
    *(row(f"huber {r}", ops.huber_loss, normal(3, 4), normal(3, 4), torch=f"T.huber_loss(a, b, '{r}')", reduction=r) for r in REDUCTIONS),
    row("huber delta", ops.huber_loss, normal(3, 4), normal(3, 4), torch="T.huber_loss(a, b, 'sum', 0.3)", delta=0.3, reduction="sum"),
    row("huber edge", ops.huber_loss, value([0.0, 1.0, 2.0]), value([1.0, 1.0, 1.0]), torch="T.huber_loss(a, b)"),
    *(row(f"smooth_l1 {r}", ops.smooth_l1_loss, normal(3, 4), normal(3, 4), torch=f"T.smooth_l1_loss(a, b, reduction='{r}')", reduction=r) for r in REDUCTIONS),
    row("smooth_l1 beta", ops.smooth_l1_loss, normal(3, 4), normal(3, 4), torch="T.smooth_l1_loss(a, b, beta=0.3)", beta=0.3),
    row("smooth_l1 zero", ops.smooth_l1_loss, normal(3, 4), normal(3, 4), torch="T.smooth_l1_loss(a, b, beta=0.0, reduction='none')", beta=0, reduction="none"),
    *(row(f"kl_div {r}", ops.kl_div, normal(3, 4), share(3, 4), torch=f"T.kl_div(a, b, reduction='{r}')", reduction=r) for r in (*REDUCTIONS, "batchmean")),
    *(row(f"kl_div log {r}", ops.kl_div, normal(3, 4), normal(3, 4), torch=f"T.kl_div(a, b, reduction='{r}', log_target=True)", reduction=r, log_target=True) for r in (*REDUCTIONS, "batchmean")),
    row("kl_div of zeros", ops.kl_div, normal(3), value([0.0, 0.25, 0.75]), torch="T.kl_div(a, b)", constant=(1,)),
    *(row(f"binary_cross_entropy {r}", ops.binary_cross_entropy, share(3, 4), share(3, 4), None, torch=f"T.binary_cross_entropy(a, b, reduction='{r}')", reduction=r) for r in REDUCTIONS),
    row("binary_cross_entropy weight", ops.binary_cross_entropy, share(3, 4), share(3, 4), positive(4), torch="T.binary_cross_entropy(a, b, c)", constant=(2,)),
    row("gaussian_nll", ops.gaussian_nll_loss, normal(3, 4), normal(3, 4), positive(3, 4), torch="T.gaussian_nll_loss(a, b, c)"),
    row("gaussian_nll rows", ops.gaussian_nll_loss, normal(3, 4), normal(3, 4), positive(3, 1), torch="T.gaussian_nll_loss(a, b, c, full=True, reduction='sum')", full=True, reduction="sum"),
    row("gaussian_nll eps", ops.gaussian_nll_loss, normal(3, 4), normal(3, 4), positive(3, 4), torch="T.gaussian_nll_loss(a, b, c, eps=1.5, reduction='none')", eps=1.5, reduction="none", kink=True),
    *(row(f"poisson_nll {r}", ops.poisson_nll_loss, normal(3, 4), positive(3, 4), torch=f"T.poisson_nll_loss(a, b, reduction='{r}')", reduction=r) for r in REDUCTIONS),
    row("poisson_nll full", ops.poisson_nll_loss, normal(3, 4), positive(3, 4), torch="T.poisson_nll_loss(a, b, full=True)", full=True),
    row("poisson_nll rate", ops.poisson_nll_loss, positive(3, 4), positive(3, 4), torch="T.poisson_nll_loss(a, b, False, True, eps=1e-3)", log_input=False, full=True, eps=1e-3),
    *(row(f"hinge_embedding {r}", ops.hinge_embedding_loss, normal(3, 4), signs(3, 4), torch=f"T.hinge_embedding_loss(a, b, reduction='{r}')", constant=(1,), reduction=r) for r in REDUCTIONS),
    row("hinge_embedding margin", ops.hinge_embedding_loss, normal(3, 4), signs(3, 4), torch="T.hinge_embedding_loss(a, b, 0.3)", constant=(1,), margin=0.3),
    row("hinge_embedding kink", ops.hinge_embedding_loss, value([0.3, 0.3]), value([1, -1]), torch="T.hinge_embedding_loss(a, b, 0.3)", constant=(1,), margin=0.3, kink=True),
    *(row(f"margin_ranking {r}", ops.margin_ranking_loss, normal(3, 4), normal(3, 4), signs(3, 4), torch=f"T.margin_ranking_loss(a, b, c, reduction='{r}')", constant=(2,), reduction=r) for r in REDUCTIONS),
    row("margin_ranking margin", ops.margin_ranking_loss, normal(6), normal(6), signs(6), torch="T.margin_ranking_loss(a, b, c, 0.4)", constant=(2,), margin=0.4),
    row("margin_ranking kink", ops.margin_ranking_loss, value([1.0, 1.0]), value([1.0, 1.0]), value([1.0, -1.0]), torch="T.margin_ranking_loss(a, b, c)", constant=(2,), kink=True),
    *(row(f"multi_margin {r}", ops.multi_margin_loss, normal(5, 3), labels(3, 5), None, torch=f"T.multi_margin_loss(a, b, reduction='{r}')", constant=(1,), reduction=r) for r in REDUCTIONS),
    row("multi_margin weights", ops.multi_margin_loss, normal(5, 3), labels(3, 5), positive(3), torch="T.multi_margin_loss(a, b, 2, 0.7, c)", constant=(1, 2), p=2, margin=0.7),
    row("multi_margin weights one", ops.multi_margin_loss, normal(5, 3), labels(3, 5), positive(3), torch="T.multi_margin_loss(a, b, 1, 1.3, c, reduction='none')", constant=(1, 2), margin=1.3, reduction="none"),
    row("multi_margin one sample", ops.multi_margin_loss, normal(4), labels(4), None, torch="T.multi_margin_loss(a, b, 2)", constant=(1,), p=2),
    row("multi_margin kink", ops.multi_margin_loss, value([[1.0, 2.0, 1.0]]), value([1]), None, torch="T.multi_margin_loss(a, b)", constant=(1,), kink=True),
    *(row(f"cosine_embedding {r}", ops.cosine_embedding_loss, normal(5, 3), normal(5, 3), signs(5), torch=f"T.cosine_embedding_loss(a, b, c, reduction='{r}')", constant=(2,), reduction=r) for r in REDUCTIONS),
    row("cosine_embedding margin", ops.cosine_embedding_loss, normal(5, 3), normal(5, 3), value([-1, -1, -1, -1, 1]), torch="T.cosine_embedding_loss(a, b, c, -0.2)", constant=(2,), margin=-0.2),
    row("cosine_embedding one pair", ops.cosine_embedding_loss, normal(3), normal(3), signs(), torch="T.cosine_embedding_loss(a, b, c)", constant=(2,)),
    *(row(f"triplet {r}", ops.triplet_margin_loss, *TRIPLE, torch=f"T.triplet_margin_loss(a, b, c, reduction='{r}')", reduction=r) for r in REDUCTIONS),
    *(row(f"triplet p={p}", ops.triplet_margin_loss, *TRIPLE, torch=f"T.triplet_margin_loss(a, b, c, 2.5, {p})", margin=2.5, p=p) for p in (1, 3.5)),
    row("triplet largest", ops.triplet_margin_loss, *TRIPLE, torch="T.triplet_margin_loss(a, b, c, 2.5, float('inf'))", margin=2.5, p=float("inf")),
    row("triplet swap", ops.triplet_margin_loss, *TRIPLE, torch="T.triplet_margin_loss(a, b, c, 1.5, 2, 1e-3, True)", margin=1.5, eps=1e-3, swap=True),
    row("triplet swap none", ops.triplet_margin_loss, normal(5, 2, 3), normal(5, 2, 3), normal(5, 2, 3), torch="T.triplet_margin_loss(a, b, c, 3, 1, swap=True, reduction='none')", margin=3, p=1, swap=True, reduction="none"),
    row("triplet one", ops.triplet_margin_loss, normal(3), normal(3), normal(3), torch="T.triplet_margin_loss(a, b, c, 4)", margin=4.0),
    row("triplet kink", ops.triplet_margin_loss, value([[1.0, 2.0]]), value([[1.0, 2.0]]), value([[1.0, 3.0]]), torch="T.triplet_margin_loss(a, b, c, 1, 2, 0.0, True)", eps=0.0, swap=True, kink=True),
    *(row(f"sigmoid_focal {r}", ops.sigmoid_focal_loss, normal(3, 4), hard(3, 4), torch=f"sigmoid_focal_loss(a, b, reduction='{r}')", reduction=r) for r in REDUCTIONS),
    row("sigmoid_focal soft", ops.sigmoid_focal_loss, normal(3, 4), share(3, 4), torch="sigmoid_focal_loss(a, b, 0.6, 1.5)", alpha=0.6, gamma=1.5),
    row("sigmoid_focal plain", ops.sigmoid_focal_loss, normal(3, 4), share(3, 4), torch="sigmoid_focal_loss(a, b, -1, 0.5)", alpha=-1, gamma=0.5),
    row("sigmoid_focal zero", ops.sigmoid_focal_loss, normal(3, 4), share(3, 4), torch="T.binary_cross_entropy_with_logits(a, b)", alpha=-1, gamma=0.0, reduction="mean"),
    *(row(f"focal {r}", ops.focal_loss, normal(5, 3), labels(3, 5), None, torch=f"focal_loss(a, b, reduction='{r}')", constant=(1,), reduction=r) for r in REDUCTIONS),
    row("focal weights", ops.focal_loss, normal(5, 3), with_ignored(3, 5), positive(3), torch="focal_loss(a, b, c, 0.7)", constant=(1, 2), gamma=0.7),
    row("focal zero", ops.focal_loss, normal(5, 3), with_ignored(3, 5), positive(3), torch="T.cross_entropy(a, b, c)", constant=(1, 2), gamma=0),
    row("focal ignore a class", ops.focal_loss, normal(6, 3), labels(3, 6), None, torch="focal_loss(a, b, ignore_index=1)", constant=(1,), ignore_index=1),
    row("focal images", ops.focal_loss, normal(2, 3, 2, 2), labels(3, 2, 2, 2), positive(3), torch="focal_loss(a, b, c, reduction='none')", constant=(1, 2), reduction="none"),
    row("focal one sample", ops.focal_loss, normal(3), labels(3), None, torch="focal_loss(a[None], b[None])", constant=(1,)),
    row("gram_matrix", ops.gram_matrix, normal(2, 3, 2, 4), torch="torch.einsum('nchw,ndhw->ncd', a, a) / 24"),
    row("gram_matrix one", ops.gram_matrix, normal(3, 2, 4), torch="torch.einsum('chw,dhw->cd', a, a) / 24"),
    *(row(f"total_variation {r}", ops.total_variation, distinct(2, 2, 3, 4), torch=f"total_variation(a).{'reshape(-1)' if r == 'none' else r + '()'}", reduction=r) for r in REDUCTIONS),
    row("total_variation squares", ops.total_variation, normal(2, 2, 3, 4), torch="total_variation(a, 2).mean()", p=2),
    row("total_variation one pixel", ops.total_variation, normal(2, 2, 1, 1), torch="total_variation(a).mean()"),
]  # fmt: skip
