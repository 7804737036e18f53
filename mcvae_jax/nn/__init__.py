"""Building blocks of every model: recurrent and dense layers, Gaussians and mixtures, keys."""
