"""``xpnet lr-range``: suggest an initial learning rate."""

from __future__ import annotations

import argparse
import sys

import xpnet
from xpnet.cli.console import to_json
from xpnet.cli.datasets import augmented, load_splits
from xpnet.cli.options import add_data_and_network, add_table, positive, positive_number
from xpnet.cli.parser import Commands
from xpnet.cli.settings import UsageError, build_model, build_optimizer, check_picture
from xpnet.cli.train import complete, fallback, fresh_settings, loss_of
from xpnet.data import DataLoader
from xpnet.train import lr_range_test
from xpnet_backends import get_backend


def add_parser(commands: Commands) -> None:
    """The command line of ``xpnet lr-range``."""
    parser = commands.add_parser(
        "lr-range",
        help="which learning rate to begin with",
        description="Train for a few steps while the learning rate grows, and watch the loss. The options are those of "
        "xpnet train.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--out", metavar="FILE.png", help="draw the loss against the rate")
    add("--low", type=positive_number, default=1e-7, metavar="X", help="the first rate (default: 1e-7)")
    add("--high", type=positive_number, default=10.0, metavar="X", help="the last rate (default: 10)")
    add("--steps", type=positive, default=100, metavar="N", help="(default: 100)")
    add("--json", action="store_true", help="print one JSON object and nothing else")
    add_data_and_network(parser)
    add_table(parser)


def run(arguments: argparse.Namespace) -> None:
    """Increase the rate step by step on the training data, and suggest an initial one."""
    say = (lambda text: None) if arguments.json else print
    out = arguments.out
    check_picture(out, "lr.png")
    if arguments.low >= arguments.high or arguments.steps < 10:
        raise UsageError(
            f"needs --low < --high and --steps >= 10, got {arguments.low:g}, {arguments.high:g}, {arguments.steps}"
        )
    settings, loaded, why = fresh_settings(arguments)
    if settings.asked_for is not None:
        print(fallback(why), file=sys.stderr if arguments.json else sys.stdout, flush=True)
    splits = load_splits(settings, say, loaded)
    backend = get_backend(settings.backend)
    complete(settings, splits, backend)
    xpnet.manual_seed(settings.seed)
    with xpnet.use(backend=backend):
        model = build_model(settings, backend)
        train, transform = augmented(splits.train, settings)
        loader = DataLoader(
            train,
            settings.batch_size,
            shuffle=True,
            seed=settings.seed,
            backend=backend,
            transform=transform,
        )
        found = lr_range_test(
            model, loss_of(settings, backend), build_optimizer(settings, model), loader,
            low=arguments.low, high=arguments.high, steps=arguments.steps,
        )  # fmt: skip
    result = {"suggestion": found.suggestion, "dataset": settings.dataset, "model": settings.model}
    result |= {"optimizer": settings.optimizer, "batch_size": settings.batch_size, "picture": out}
    if out is not None:
        from xpnet import plot

        plot.save(plot.lr_range(found), out)
    if arguments.json:
        print(to_json({**result, "rates": found.rates, "smoothed": found.smoothed}))
        return
    shown = range(0, len(found.rates), max(len(found.rates) // 12, 1))
    say(f"{'rate':>10}{'loss':>10}")
    for i in shown:
        say(f"{found.rates[i]:>10.2g}{found.smoothed[i]:>10.4f}")
    if out is not None:
        say(f"the whole curve is in {out}")
    print(f"begin with --lr {found.suggestion:.1g} ({settings.optimizer}, batches of {settings.batch_size})")
