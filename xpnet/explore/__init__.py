"""Looking inside: why a network does what it does."""
