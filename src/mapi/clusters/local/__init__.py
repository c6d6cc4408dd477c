"""This machine as a cluster: processes that outlive the platform."""
