"""Generators, one file per network family."""
