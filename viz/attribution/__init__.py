"""Which patches made the network say so? Attributions by several methods, and what they cost.

`viz.attribution.attribute.attribute` explains a `Question` by one of `viz.attribution.methods.METHODS`.
"""
