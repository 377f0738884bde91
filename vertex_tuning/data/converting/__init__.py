"""Data sets of other forms, as rows for Vertex AI.

references.py  what graders see beside the chat, as references
"""
