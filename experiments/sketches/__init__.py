"""SketchRNN (Ha and Eck 2017, arXiv:1704.03477; thesis 5.1) of the project's parts: drawings in the place of songs."""
