"""What happens inside a Mixer: records of its passes, measures on them, figures and panels."""
