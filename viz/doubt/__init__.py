"""Reliability of attributions: measurements of an attribution, and their thresholds."""
