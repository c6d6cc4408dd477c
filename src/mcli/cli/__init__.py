"""The command line: a client of the Python API, with no powers of its own. One module a command."""
