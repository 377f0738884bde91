"""A pytest plugin for Google's suites: they read pictures, sounds and films, most of them at import, that the package leaves out.
A grey pixel of our own stands in for each. The emulator reads text alone, and refuses them by their kind."""

import base64
import builtins
import io
import os
from pathlib import Path

import google.genai.tests

_LEFT_OUT = (Path(google.genai.tests.__path__[0]) / "data").resolve()
_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
_open = io.open


def _with_pictures(file, *arguments, **options):
    if isinstance(file, str | os.PathLike):
        path = Path(file).resolve()
        if path.is_relative_to(_LEFT_OUT) and not path.exists():
            return io.BytesIO(_PIXEL)
    return _open(file, *arguments, **options)


io.open = builtins.open = _with_pictures
