"""Which patches made the network say so? Attributions by several methods, and what they cost.

`viz.attribute` explains pictures; `METHODS` in `viz.attribution.methods` is the table of the methods, each with its
source. Below them, `viz.attribution.attribute` explains a `Question` of tensors, or several.
"""
