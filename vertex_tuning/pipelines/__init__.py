"""Pipelines: compiled ones are run here, submitted to a service, and followed.

child.py        executes a pipeline job in its own process, and tells what happens
running.py      starts that process, follows and stops it
submitting.py   the same job for Vertex AI Pipelines, or for a Kubeflow endpoint
"""
