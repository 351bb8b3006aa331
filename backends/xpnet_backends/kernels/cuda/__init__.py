"""Kernels for the CuPy backend: CUDA C++ files, and the launcher that checks their arguments."""
