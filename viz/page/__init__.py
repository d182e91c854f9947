"""How what is shown gets into a browser, a report and other programs."""
