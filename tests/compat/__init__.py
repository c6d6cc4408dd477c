"""The published clients, as they are, against this server."""
