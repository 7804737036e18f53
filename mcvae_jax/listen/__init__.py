"""A player through MIDI ports: a musician plays a phrase, and a model answers in time."""
