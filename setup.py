"""Which packages a wheel has; all else about it stands in pyproject.toml."""

from setuptools import find_packages, setup

# what lies at the top (app.py, main.py, checkpoints) gets a package of its own, as `app` may be anybody's
setup(packages=[*find_packages(include=["mixer*", "viz*"]), "mixer_microscope"], package_dir={"mixer_microscope": "."})
