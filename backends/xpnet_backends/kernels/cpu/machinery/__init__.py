"""Shared parts of the kernels: compiler, register tile, thread pool, memory orders, scalar functions, BLAS threads."""
