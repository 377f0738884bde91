"""Data sets of other forms, as rows for Vertex AI: read into one chat, written for a method.

convert.py     the pass over the rows
sources.py     the rows of a file: by lines, in one list, in a table
forms.py       which form a row has
messages.py    ... OpenAI's, and all that have messages
plain.py       ... texts: TRL's, Alpaca's, question and answer
sharegpt.py    ... ShareGPT's
palm.py        ... PaLM's
vertex.py      ... Vertex AI's own, for another method
chat.py        what each becomes: one chat, and what is remarked on the way
pieces.py      what a message says, as parts
tools.py       tools, their calls and answers
references.py  what graders see beside the chat, as references
writing.py     a chat as a row for a method
conversion.py  what became of the set
"""

from vertex_tuning.data.converting.conversion import Conversion
from vertex_tuning.data.converting.convert import convert

__all__ = ["Conversion", "convert"]
