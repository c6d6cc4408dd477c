"""Where runs execute: the contract of a cluster, and one package a kind."""
