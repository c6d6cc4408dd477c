"""A namespace of a Kubernetes cluster: a run is a Job that a Kubernetes user would have written."""
