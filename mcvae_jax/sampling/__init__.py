"""From songs of bars to what a musician opens: MIDI, sound, pictures and a page."""
