"""Two doors on one port.

The first bytes of a connection tell which: `CONNECT` is a program that takes us for its proxy. Its tunnel ends here, with a
certificate for the host it asked for, and the connection is handed to the very HTTP protocol that serves the plain address;
`h2` is passed on to the gRPC child. Anything else is plain HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from vertex_tuning.emulator import guard

if TYPE_CHECKING:
    from vertex_tuning.emulator.authority import Authority

log = logging.getLogger(__name__)

_CONNECT = b"CONNECT "
_MAX_HEAD = 16 * 1024
_HANDSHAKE_TIMEOUT = 20.0
_PIPE = 256 * 1024


class FrontDoor:
    """What a new connection needs to find its way.

    Args:
        http: Makes the protocol that serves HTTP.
        authority: Makes, or loads, the certificate authority; called when the first tunnel is asked for.
        grpc: Opens a connection to the gRPC child, starting it where need be.
        forward: Whether hosts that are not Google's are let through, for callers on loopback.
        token: Where the server listens beyond loopback, a proxy's client must send it too (`Proxy-Authorization`).
    """

    def __init__(
        self,
        http: Callable[[], asyncio.Protocol],
        authority: Callable[[], Authority],
        grpc: Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]],
        *,
        forward: bool,
        token: str | None,
    ) -> None:
        self.http = http
        self.authority = authority
        self.grpc = grpc
        self.forward = forward
        self.token = token
        self.tunnels: set[asyncio.Task[None]] = set()

    def __call__(self) -> asyncio.Protocol:
        """The protocol of a connection that has said nothing yet."""
        return _FirstBytes(self)

    def close(self) -> None:
        """End what is being tunnelled."""
        for task in list(self.tunnels):
            task.cancel()


class _Buffer(asyncio.Protocol):
    """Keeps what arrives until somebody takes the connection over."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.closed = False

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True


class _FirstBytes(asyncio.Protocol):
    def __init__(self, door: FrontDoor) -> None:
        self.door = door
        self.seen = bytearray()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.seen += data
        if not self.seen.startswith(_CONNECT[: len(self.seen)]):
            _hand_over(self.transport, self.door.http(), bytes(self.seen))
        elif b"\r\n\r\n" in self.seen:
            buffer = _Buffer()
            self.transport.set_protocol(buffer)
            task = asyncio.create_task(self._tunnel(bytes(self.seen), buffer))
            self.door.tunnels.add(task)
            task.add_done_callback(self.door.tunnels.discard)
        elif len(self.seen) > _MAX_HEAD:
            _refuse(self.transport, 431, "the head of the request is too long")

    async def _tunnel(self, seen: bytes, buffer: _Buffer) -> None:
        head, _, early = seen.partition(b"\r\n\r\n")
        buffer.data[:0] = early
        authority = head.split(b" ", 2)[1].decode("latin-1").lower()
        host, _, port = authority.rpartition(":")
        host = host.strip("[]").rstrip(".")
        try:
            if self.door.token and self.door.token.encode() not in head:
                _refuse(self.transport, 407, "this emulator listens beyond loopback and wants its token")
            elif guard.is_served(host) and port == "443":
                await self._end_tls(host, buffer)
            elif guard.is_google(host):
                log.warning("refused: %s is Google's, and not served here", authority)
                _refuse(
                    self.transport,
                    403,
                    f"VT423 {authority} is one of Google's hosts that the emulator does not serve; "
                    "nothing was sent there",
                )
            elif self.door.forward and self._from_loopback():
                await self._forward(host, int(port), buffer)
            else:
                _refuse(self.transport, 403, f"VT424 {authority}: this emulator lets no other host through")
        except (OSError, ValueError, asyncio.TimeoutError) as error:
            log.info("tunnel to %s: %s", authority, error)
            self.transport.abort()

    def _from_loopback(self) -> bool:
        peer = self.transport.get_extra_info("peername")
        return bool(peer) and guard.is_loopback(peer[0])

    async def _end_tls(self, host: str, buffer: _Buffer) -> None:
        loop = asyncio.get_running_loop()
        context = self.door.authority().context(host)
        self.transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        # Data may be decrypted before start_tls returns to us, hence a buffer inside too.
        inside = _Buffer()
        tls = await loop.start_tls(
            self.transport, inside, context, server_side=True, ssl_handshake_timeout=_HANDSHAKE_TIMEOUT
        )
        if tls is None or inside.closed:
            return
        if tls.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
            await _join(tls, inside, self.door.grpc())
        else:
            _hand_over(tls, self.door.http(), bytes(inside.data))

    async def _forward(self, host: str, port: int, buffer: _Buffer) -> None:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        address = found[0][4][0]
        # A way in for programs, not a way round: nothing on this machine or its network is reached through us.
        if not ipaddress.ip_address(address).is_global:
            _refuse(self.transport, 403, f"VT425 {host} is not a public address")
            return
        connection = await asyncio.wait_for(asyncio.open_connection(address, port), _HANDSHAKE_TIMEOUT)
        self.transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def opened() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            return connection

        await _join(self.transport, buffer, opened())


def _hand_over(transport: asyncio.Transport, protocol: asyncio.Protocol, seen: bytes) -> None:
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if seen:
        protocol.data_received(seen)


def _refuse(transport: asyncio.Transport, status: int, reason: str) -> None:
    body = reason.encode() + b"\n"
    transport.write(
        b"HTTP/1.1 %d Refused\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
        % (status, len(body), body)
    )
    transport.close()


async def _join(
    transport: asyncio.Transport,
    buffer: _Buffer,
    opening: Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]],
) -> None:
    """Pass bytes between a transport and another connection until one of them ends."""
    far_reader, far_writer = await opening
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_PIPE, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    reader.feed_data(bytes(buffer.data))
    if buffer.closed:
        reader.feed_eof()
    ways = [
        asyncio.create_task(_pump(reader, far_writer)),
        asyncio.create_task(_pump(far_reader, writer)),
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        far_writer.close()
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_PIPE):
            writer.write(data)
            await writer.drain()
