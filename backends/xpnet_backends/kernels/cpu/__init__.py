"""Kernels for the NumPy backend, compiled by numba.  ``machinery`` holds their shared parts."""
