"""What is shown: lenses and views as values, each a file or a folder."""
