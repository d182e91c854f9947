"""Should I believe an attribution? What was measured of it, and the rules that it is held to."""
