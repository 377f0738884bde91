"""Serving: the models that were tuned, and their bases, answer.

    generation.py   the server's side: requests in, answers out
    request.py      a request as an order; every check that needs no weights
    completions.py  chat completions in OpenAI's form
    instances.py    what the containers of open models take as `instances`
    fields.py       free JSON, read field by field
    schema.py       Google's response schemas as JSON Schema
    answers.py      what the child tells, as Google's responses
    protocol.py     what the two say to each other

The child, which alone knows torch:

    child.py        the line to the server
    engine.py       who is served next: requests join and leave a running batch
    packed.py       the model over a packed batch, and its key-value cache
    prefixes.py     what prompts share is computed once
    adapters.py     LoRA adapters, several in one batch
    answering.py    one answer in the making
    sampling.py     from logits to a token
    choosing.py     which of several labels is the likeliest
    formats.py      tokens that a JSON Schema allows
    closing.py      ... and those that bring its answer to an end
"""

from vertex_tuning.emulator.serving.generation import Generation

__all__ = ["Generation"]
