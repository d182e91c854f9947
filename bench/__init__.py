"""Benchmarks: ratios of this project and others, measured side by side, in one run, on one machine."""
