"""The platform on the web: one URL for requests and subscriptions, health, metrics."""
