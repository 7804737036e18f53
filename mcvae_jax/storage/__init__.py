"""Files that are whole or not there, JSON with a check, checkpoints, and the folder of a run."""
