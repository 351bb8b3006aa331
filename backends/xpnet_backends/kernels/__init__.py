"""Faster versions of single ops.  Each has the op's signature, a test against the op, and a benchmark.

``registry`` lists them by op name; ``cpu`` and ``cuda`` hold the code.
"""
