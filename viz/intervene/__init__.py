"""What if? Pictures and networks that are changed on purpose, and what the answer does."""
