"""Tune language models on Vertex AI, and rehearse every step on a local emulator that really trains."""

__version__ = "0.1.0"
