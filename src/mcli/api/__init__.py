"""The calls of the Python API, by what they are about."""
