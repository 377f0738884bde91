"""Prompts that are kept by the service, as Google's prompt management keeps them: a `Dataset` whose metadata is the prompt.

store.py   the prompts of a project: save, get, list, versions, restore, delete
saved.py   one prompt: its places and how they are filled, and the form in which it is kept
"""

from vertex_tuning.prompts.saved import FilledPrompt, SavedPrompt
from vertex_tuning.prompts.store import Prompts

__all__ = ["FilledPrompt", "Prompts", "SavedPrompt"]
