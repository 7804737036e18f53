"""Pure functions of parameters and arrays: the models and their losses."""
