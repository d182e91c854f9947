"""The packages of a wheel; its other settings are in pyproject.toml."""

from setuptools import find_packages, setup

# app.py, main.py and checkpoints become the package mixer_microscope, because `app` is not a unique name
setup(packages=[*find_packages(include=["mixer*", "viz*"]), "mixer_microscope"], package_dir={"mixer_microscope": "."})
