"""A Kubernetes cluster in a thread: the API over HTTP, its controllers, and nodes that really run commands.

It exists so that every test can have a cluster, and one that misbehaves when it is told to. What it answers
was compared with what a real API server, scheduler, Job controller and kubelet (v1.36) answer.
"""
