"""multipart/related, read as it streams: a resource in JSON, then the content."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.message import Message
from email.parser import BytesHeaderParser

from vertex_tuning.emulator.storage.errors import StorageError, invalid

_MAX_HEAD = 1 << 20


def boundary_of(content_type: str) -> str:
    """The boundary of a multipart content type, or 400."""
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_param("boundary")
    if (
        not message.get_content_type().startswith("multipart/")
        or not isinstance(boundary, str)
        or not boundary
    ):
        raise invalid("Invalid multipart request: the Content-Type has no boundary.")
    return boundary


class Related:
    """The two parts of an upload. `await open()` first; then `resource`, `content_type` and `content()`."""

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self._mark = b"--" + boundary_of(content_type).encode("latin-1", "replace")
        self._rest = b""
        self.resource = b""
        """The first part, as sent."""
        self.content_type: str | None = None
        """Content type of the second part."""

    async def open(self) -> None:
        """Read up to the first byte of the content."""
        # Lines end as RFC 2046 says, or with a bare line feed: some of Google's own older clients send that.
        await self._until(self._mark)
        newline = b"\r\n" if await self._peek_crlf() else b"\n"
        self._mark = newline + self._mark
        await self._until(newline * 2)
        self.resource = await self._until(self._mark)
        head = await self._until(newline * 2)
        self.content_type = BytesHeaderParser().parsebytes(head.lstrip(b"\r\n"))["content-type"]

    async def content(self) -> AsyncIterator[bytes]:
        """The second part, as it comes; 400 where the body ends before its closing boundary."""
        data = self._rest
        keep = len(self._mark) - 1
        while (at := data.find(self._mark)) < 0:
            if len(data) > keep:
                yield data[:-keep]
            data = data[-keep:] + await self._more()
        if at:
            yield data[:at]
        async for _ in self._body:
            pass

    async def _until(self, mark: bytes) -> bytes:
        """What stands before a mark; the mark is dropped."""
        while (at := self._rest.find(mark)) < 0:
            if len(self._rest) > _MAX_HEAD:
                raise _broken()
            self._rest += await self._more()
        before, self._rest = self._rest[:at], self._rest[at + len(mark) :]
        return before

    async def _peek_crlf(self) -> bool:
        while len(self._rest) < 2:
            self._rest += await self._more()
        return self._rest.startswith(b"\r\n")

    async def _more(self) -> bytes:
        chunk = await anext(self._body, b"")
        if not chunk:
            raise _broken()
        return chunk


def _broken() -> StorageError:
    return invalid("Invalid multipart request: a part or the closing boundary is missing.")
