"""Errors of data files."""


class DataError(ValueError):
    """A data file that is damaged or of another format.  Names the file, what was found, and the fix."""


class DataUnavailableError(DataError):
    """Data that were found nowhere: not in a folder, not in the cache, not on the network."""
