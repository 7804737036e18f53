"""Prints the lower bounds of the dependencies in pyproject.toml as constraints of pip: jax==0.7.2, one a line."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
for text in project["dependencies"]:
    requirement = Requirement(text)
    (lowest,) = (each.version for each in requirement.specifier if each.operator == ">=")
    print(f"{requirement.name}=={lowest}")
