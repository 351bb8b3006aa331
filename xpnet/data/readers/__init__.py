"""Files as they are: IDX, archives, plain pickles, downloads."""

from .idx import read_idx, write_idx

__all__ = ["read_idx", "write_idx"]
