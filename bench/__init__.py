"""Where we stand against the others: ratios measured side by side, in one run, on one machine."""
