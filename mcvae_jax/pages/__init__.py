"""Pages of results: whole documents that ask no host for anything, and the parts of which they are made."""
