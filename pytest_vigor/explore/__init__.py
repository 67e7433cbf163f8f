"""Exploration of machine code: the VEX interpreter and what drives it."""
