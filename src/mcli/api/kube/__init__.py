"""The import paths of the first versions of the API."""
