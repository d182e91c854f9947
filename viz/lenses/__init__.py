"""The lenses and their views, as values: a file or a folder for each lens."""
