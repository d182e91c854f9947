"""The checker of annotations while testing: an int is a float, as PEP 484 has it."""

from beartype import BeartypeConf, beartype

shapes = beartype(conf=BeartypeConf(is_pep484_tower=True))
