"""The overhead of the tape: microseconds per op, forward and backward, over the plain array operation.

It times a chain of additions of 4x4 arrays, whose arithmetic takes almost no time.
"""

from __future__ import annotations

from timing import in_turns, machine, parser, report, summary

import xpnet

OPS = 200


def main() -> None:
    """Time chains of ``OPS`` additions, and print microseconds per op."""
    options = parser(__doc__).parse_args()
    backend = xpnet.get_backend(options.backend)
    a = backend.xp.ones((4, 4), dtype="float32")
    b = xpnet.as_tensor(backend.xp.ones((4, 4), dtype="float32"))
    leaf = xpnet.tensor(a, requires_grad=True)

    def plain() -> object:
        y = a
        for _ in range(OPS):
            y = y + a
        return y

    def forward() -> xpnet.Tensor:
        y = leaf
        for _ in range(OPS):
            y = y + b
        return y

    def without_tape() -> object:
        with xpnet.no_grad():
            return forward()

    def forward_and_backward() -> None:
        leaf.grad = None
        forward().backward(a)
        backend.synchronize()

    contestants = {
        "plain array": plain,
        "tensor, no_grad": without_tape,
        "tensor, recorded": forward,
        "recorded and backward": forward_and_backward,
    }
    seconds = in_turns(contestants, options.rounds, 20)
    per_op = {name: [s / OPS for s in values] for name, values in seconds.items()}
    report({"us_per_op": summary(per_op), "backend": backend.name, "machine": machine()}, options.save)


if __name__ == "__main__":
    main()
