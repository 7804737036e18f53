"""The studio: a page on this machine in which a musician draws or plays a phrase and a model answers."""
