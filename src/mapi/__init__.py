"""The server of the run platform: MAPI, the scheduler, the clusters and the run database."""
