"""What a message says, as parts: text, images and files.

    "..."                                                     text
    {"type": "text", "text": "..."}                           text
    {"type": "image_url", "image_url": {"url": "data:..."}}   inlineData
    {"type": "image_url", "image_url": {"url": "gs://..."}}   fileData

Source: OpenAI's API reference, messages of chat completions; Google Cloud documentation, "Prepare supervised fine-tuning data for
Gemini models", which shows text and fileData as parts of a row (2026-11-26).
"""

from __future__ import annotations

import mimetypes
import re
from typing import Any
from urllib.parse import unquote

from vertex_tuning.data.converting.chat import Part, Remarks, meant
from vertex_tuning.data.words import at, kind_of, quoted

_TEXTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
_URLS = ("image_url", "video_url", "input_image")
_AUDIO = ("input_audio", "audio", "audio_url")
_DATA_URL = re.compile(
    r"data:(?P<type>[\w.+-]+/[\w.+-]+)(?:;[\w-]+=[^;,]*)*;base64,(?P<data>[A-Za-z0-9+/=_-]+)"
)
_QUERY = re.compile("[?#]")
_MISSING = {"image/webp": ".webp", "image/heic": ".heic", "image/heif": ".heif", "video/webm": ".webm"}
"""Types that Python does not know everywhere."""

_TYPES = mimetypes.MimeTypes()
for _type, _ending in _MISSING.items():
    _TYPES.add_type(_type, _ending)


def parts_of(content: Any, path: str, remarks: Remarks) -> list[Part]:
    """The parts of a message's content: a text, or a list of pieces."""
    if isinstance(content, str):
        if not content:
            remarks.fault("VT212", path, "the text is empty", fix="write it, or drop the row")
        return [{"text": content}]
    if not isinstance(content, list) or not content:
        what = f"content is {kind_of(content)}"
        remarks.fault("VT207", path, what, fix='a text, or [{"type": "text", "text": "..."}]')
        return []
    parts: list[Part] = []
    for index, piece in enumerate(content):
        part = _part_of(piece, f"{path}[{index}]", remarks)
        if part is not None:
            parts.append(part)
    return parts


def text_of(content: Any, path: str, remarks: Remarks) -> str:
    """The text of a content that is nothing else."""
    if content == "":
        return ""
    parts = parts_of(content, path, remarks)
    if any("text" not in part for part in parts):
        remarks.fault("VT256", path, "there is something other than text", fix="text alone")
        return ""
    return "".join(part["text"] for part in parts)


def _part_of(piece: Any, path: str, remarks: Remarks) -> Part | None:
    if isinstance(piece, str):
        piece = {"type": "text", "text": piece}
    kind = piece.get("type") if isinstance(piece, dict) else None
    name = meant(_TEXTS, kind)
    if name is not None:
        text = piece.get(name)
        if not isinstance(text, str):
            remarks.fault("VT207", f"{path}.{name}", f"{kind_of(text)}, not a string", fix='"..."')
            return None
        if not text:
            remarks.fault("VT212", f"{path}.{name}", "the text is empty", fix="write it, or drop the piece")
        if kind == "refusal":
            remarks.note(f"{path}.refusal", "a refusal is learnt as text")
        _left_out(piece, ("type", name), path, remarks)
        return {"text": text}
    if kind in _URLS:
        return _linked(piece, "image_url" if kind == "input_image" else kind, path, remarks)
    if kind in ("file", "input_file"):
        return _file(piece, path, remarks)
    if kind in _AUDIO:
        fix = 'put it into a bucket: {"fileData": {"mimeType": "audio/wav", "fileUri": "gs://..."}} in a row for Vertex AI'
        remarks.fault("VT256", path, "a sound is not carried over", fix=fix)
        return None
    what = f"a piece of the type {quoted(kind)}" if kind else f"{kind_of(piece)}, not a piece of a message"
    remarks.fault("VT256", path, what, fix='{"type": "text", "text": "..."} or {"type": "image_url", ...}')
    return None


def _linked(piece: dict[str, Any], name: str, path: str, remarks: Remarks) -> Part | None:
    given = piece.get(name)
    place = f"{path}.{name}"
    url = given
    if isinstance(given, dict):
        url, place = given.get("url"), f"{place}.url"
        if "detail" in given:
            remarks.note(f"{path}.{name}.detail", "left out: a file has no level of detail")
        _left_out(given, ("url", "detail"), f"{path}.{name}", remarks)
    if "detail" in piece:
        remarks.note(f"{path}.detail", "left out: a file has no level of detail")
    _left_out(piece, ("type", name, "detail"), path, remarks)
    return file_of(url, place, remarks)


def _file(piece: dict[str, Any], path: str, remarks: Remarks) -> Part | None:
    """`{"type": "file", "file": {"file_data": "data:...", "filename": "..."}}`, or its members beside the type."""
    given = piece.get("file") if isinstance(piece.get("file"), dict) else piece
    assert isinstance(given, dict)
    url = given.get("file_data", given.get("file_url"))
    if url is None:
        what = "a file that lies with its vendor: its bytes are not in the row"
        remarks.fault("VT256", path, what, fix="put it into a bucket, and name it by gs://bucket/file")
        return None
    return file_of(url, path, remarks)


def file_of(url: Any, path: str, remarks: Remarks) -> Part | None:
    """A file by its URL."""
    if not isinstance(url, str):
        remarks.fault(
            "VT219", path, f"the URL is {kind_of(url)}", fix="gs://bucket/file, https://... or data:..."
        )
        return None
    if url.startswith("data:"):
        found = _DATA_URL.fullmatch(url)
        if found is None:
            remarks.fault("VT219", path, "not a data URL in base64", fix="data:image/png;base64,...")
            return None
        remarks.note(
            path,
            "stays in the row as inlineData: Google's documentation of rows shows files by address alone",
        )
        return {"inlineData": {"mimeType": found["type"], "data": found["data"]}}
    scheme, _, rest = url.partition("://")
    if scheme == "https":  # a name in a bucket may have any character
        rest = _QUERY.split(rest, maxsplit=1)[0]
    host, _, name = rest.partition("/")
    if scheme not in ("gs", "https") or not host or not name:
        fix = "gs://bucket/file, https://... or data:...;base64,..."
        remarks.fault("VT219", path, f"{quoted(url)} is not a file that Vertex AI reads", fix=fix)
        return None
    kind = _TYPES.guess_type(unquote(name).rpartition("/")[2])[0]
    if kind is None:
        what = f"nothing in the name {quoted(url)} says of what type the file is"
        fix = "a name with an ending, such as .png; or fileData with a mimeType, in a row for Vertex AI"
        remarks.fault("VT219", path, what, fix=fix)
        return None
    return {"fileData": {"mimeType": kind, "fileUri": url}}


def _left_out(value: dict[str, Any], known: tuple[str, ...], path: str, remarks: Remarks) -> None:
    for name, member in value.items():
        if name not in known and member is not None:
            remarks.note(at(path, name), "left out")
