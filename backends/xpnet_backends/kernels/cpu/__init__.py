"""Kernels for the NumPy backend, compiled by numba.  What they are made of is in ``machinery``."""
