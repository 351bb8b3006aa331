"""Faster versions of single ops.  Each has the op's signature, a test that holds it to the op, and a benchmark.

``registry`` lists them by the op's name; ``cpu`` and ``cuda`` hold them.
"""
