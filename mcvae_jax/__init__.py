"""The Mixture Composer VAE: learns melodies from MIDI and composes new ones that keep their shape."""
