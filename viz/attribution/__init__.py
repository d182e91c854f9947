"""Which patches made the network say so? Attributions by several methods, and what they cost."""
