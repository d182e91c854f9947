"""Exchange of information between patches: weights, influence, units and permutations."""
