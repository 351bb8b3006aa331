"""Activation layers that came later; their recorded values are in activations.npz."""

from __future__ import annotations

from tests.nn.layers import IMAGE, case

CASES = [
    case("LogSigmoid", shape=(5, 6)),
    case("Softplus", shape=(5, 6)),
    case("Softplus", 3, 2.0, shape=(5, 6)),
    case("Softsign", shape=(5, 6)),
    case("Tanhshrink", shape=(5, 6)),
    case("SiLU", shape=(5, 6)),
    case("Mish", shape=(5, 6)),
    case("CELU", shape=(5, 6)),
    case("CELU", alpha=0.5, shape=(5, 6)),
    case("SELU", shape=(5, 6)),
    case("GLU", shape=(5, 6)),
    case("GLU", dim=1, shape=IMAGE),
    case("Softmin", dim=1, shape=(5, 6)),
    case("ReLU6", shape=(5, 6)),
    case("Hardtanh", shape=(5, 6)),
    case("Hardtanh", -0.5, 1.5, shape=(5, 6)),
    case("Hardswish", shape=(5, 6)),
    case("Hardshrink", shape=(5, 6)),
    case("Hardshrink", lambd=1.2, shape=(5, 6)),
    case("Softshrink", shape=(5, 6)),
    case("Softshrink", 1.2, shape=(5, 6)),
    case("Threshold", 0.3, -2.0, shape=(5, 6)),
    case("PReLU", shape=(5, 6)),
    case("PReLU", 4, init=0.1, shape=IMAGE),
]
