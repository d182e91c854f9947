"""Interventions: changes of pictures and networks, and their effect on the answer."""
