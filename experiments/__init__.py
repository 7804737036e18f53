"""One module a table or figure; each is a command that goes on where it was cut off."""
