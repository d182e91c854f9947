"""The lenses in a browser, in reports and for other programs."""
