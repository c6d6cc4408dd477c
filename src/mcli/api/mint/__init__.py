"""Shells into runs."""
