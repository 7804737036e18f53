"""Many songs: a source -> a cleaned, split, saved corpus."""
