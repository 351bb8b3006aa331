"""What the kernels are made of: compiler, register tile, threads, memory orders, functions of a number, BLAS."""
