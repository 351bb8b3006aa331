"""Errors of data files."""


class DataError(ValueError):
    """A data file that is damaged or has another format.  The message names the file, the fault and the fix."""


class DataUnavailableError(DataError):
    """Data that were not found in a folder, in the cache, or on the network."""
