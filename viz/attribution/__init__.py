"""Which patches support the class? Attributions by several methods, and their cost.

`viz.attribute` explains pictures; `METHODS` in `viz.attribution.methods` is the table of the methods, each with its
source. `viz.attribution.attribute` explains one `Question` of tensors, or several.
"""
