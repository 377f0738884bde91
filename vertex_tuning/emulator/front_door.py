"""Two doors on one port.

The first bytes of a connection tell which: `CONNECT` is a program that takes us for its proxy. Its tunnel
ends here, with a certificate for the host it asked for, and the connection is handed to the very HTTP
protocol that serves the plain address; `h2` is passed on to the gRPC child. Anything else is plain HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from vertex_tuning.emulator import guard

log = logging.getLogger(__name__)

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_CONNECT = b"CONNECT "
_REQUEST_LINE = re.compile(rb"CONNECT (\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5}) HTTP/1\.[01]")
_MAX_HEAD = 16 * 1024
_TIMEOUT = 20.0
_PIPE = 256 * 1024


class Refusal(Exception):
    """A tunnel that is not opened: HTTP status, rule and reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class FrontDoor:
    """What a new connection needs to find its way.

    Args:
        http: Makes the protocol that serves HTTP; told the state that each of its requests shall carry.
        certificate: Gives the TLS context for a host that we serve.
        grpc: Opens a connection to the gRPC child, starting it where need be.
        forward: Whether hosts that are not Google's are let through, for callers on loopback.
        token: Where the server listens beyond loopback, a proxy's client must show it.
    """

    def __init__(
        self,
        http: Callable[[dict[str, Any]], asyncio.Protocol],
        certificate: Callable[[str], Awaitable[ssl.SSLContext]],
        grpc: Callable[[], Awaitable[Connection]],
        *,
        forward: bool,
        token: str | None,
    ) -> None:
        self.http = http
        self.certificate = certificate
        self.grpc = grpc
        self.forward = forward
        self.token = token
        self.tunnels: set[asyncio.Task[None]] = set()

    def __call__(self) -> asyncio.Protocol:
        """The protocol of a connection that has said nothing yet."""
        return _FirstBytes(self)

    def open(self, transport: asyncio.Transport, seen: bytes) -> None:
        """Begin with a connection whose first bytes, up to the end of a head, are a `CONNECT`."""
        task = asyncio.create_task(_Tunnel(self, transport).run(seen))
        self.tunnels.add(task)
        task.add_done_callback(self.tunnels.discard)

    async def close(self) -> None:
        """End what is being tunnelled."""
        for task in self.tunnels:
            task.cancel()
        await asyncio.gather(*self.tunnels, return_exceptions=True)


class _FirstBytes(asyncio.Protocol):
    """Looks at a new connection until it is plain which door it wants."""

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
            _hand_over(self.transport, self.door.http({}), bytes(self.seen))
        elif b"\r\n\r\n" in self.seen:
            self.door.open(self.transport, bytes(self.seen))
        elif len(self.seen) > _MAX_HEAD:
            _refuse(self.transport, Refusal(431, "the head of the request is too long"))


class _Buffer(asyncio.Protocol):
    """Keeps what arrives until somebody takes the connection over."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.closed = False

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, _: Exception | None) -> None:
        self.closed = True


class _Tunnel:
    """One `CONNECT`, from its head to the end of the connection."""

    def __init__(self, door: FrontDoor, transport: asyncio.Transport) -> None:
        self.door = door
        self.transport = transport
        self.buffer = _Buffer()
        # At once, before anything is awaited: what comes next is no request of the plain door.
        transport.set_protocol(self.buffer)

    async def run(self, seen: bytes) -> None:
        target = ""
        try:
            head, _, early = seen.partition(b"\r\n\r\n")
            found = _REQUEST_LINE.fullmatch(head.partition(b"\r\n")[0])
            if found is None or early:
                raise Refusal(400, "not a CONNECT as RFC 9110 has it")
            host, port = found[1].decode("ascii").lower().strip("[]").rstrip("."), int(found[2])
            target = f"{host}:{port}"
            await self._connect(host, port, head)
        except Refusal as refusal:
            log.warning("refused: %s", refusal.reason)
            _refuse(self.transport, refusal)
        except ssl.SSLError as error:
            log.warning(
                "%s: the program does not take our certificate (%s); see `emulator env`", target, error
            )
            self.transport.abort()
        except (OSError, asyncio.IncompleteReadError) as error:
            log.info("tunnel to %s: %s", target, error)
            self.transport.abort()
        except Exception:
            log.exception("tunnel to %s", target)
            self.transport.abort()

    async def _connect(self, host: str, port: int, head: bytes) -> None:
        door = self.door
        if door.token and not guard.has_proxy_token(head, door.token):
            raise Refusal(
                407, "VT422 this emulator listens beyond loopback: http://any:TOKEN@... as the proxy"
            )
        if guard.is_served(host) and port == 443:
            await self._end_tls(host)
        elif guard.is_google(host):
            raise Refusal(403, f"VT423 {host}:{port} is a Google host that the emulator does not serve")
        elif not (door.forward and self._from_loopback()):
            raise Refusal(403, f"VT424 {host}:{port} is not let through by this emulator")
        else:
            await self._forward(host, port)

    def _from_loopback(self) -> bool:
        peer = self.transport.get_extra_info("peername")
        return bool(peer) and guard.is_loopback(peer[0])

    def _established(self) -> None:
        self.transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

    async def _end_tls(self, host: str) -> None:
        context = await self.door.certificate(host)
        if self.buffer.closed:
            return
        self._established()
        # What is decrypted before `start_tls` comes back to us must wait somewhere too.
        inside = _Buffer()
        tls = await asyncio.get_running_loop().start_tls(
            self.transport, inside, context, server_side=True, ssl_handshake_timeout=_TIMEOUT
        )
        if tls is None or inside.closed:
            return
        if tls.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
            await _join(tls, inside, await self.door.grpc())
        else:
            _hand_over(tls, self.door.http({"tunnel": host}), bytes(inside.data))

    async def _forward(self, host: str, port: int) -> None:
        far = await _open_public(host, port)
        if self.buffer.closed:
            far[1].close()
            return
        self._established()
        await _join(self.transport, self.buffer, far)


async def _open_public(host: str, port: int) -> Connection:
    """A connection to a host on the public internet: no way into this machine, or the network around it."""
    loop = asyncio.get_running_loop()
    try:
        found = await asyncio.wait_for(loop.getaddrinfo(host, port, type=socket.SOCK_STREAM), _TIMEOUT)
    except (OSError, UnicodeError) as error:
        raise Refusal(502, f"VT425 {host} has no address") from error
    addresses = [str(item[4][0]) for item in found]
    if any(not ipaddress.ip_address(address).is_global or _is_own(address) for address in addresses):
        raise Refusal(403, f"VT424 {host}:{port} is not a public address")
    # The addresses, not the name, which might resolve to something else now.
    for address in addresses:
        with contextlib.suppress(OSError):
            return await asyncio.wait_for(asyncio.open_connection(address, port), _TIMEOUT)
    raise Refusal(502, f"VT425 {host}:{port} does not answer")


def _is_own(address: str) -> bool:
    """Whether an address belongs to this machine: then a socket can be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _hand_over(transport: asyncio.Transport, protocol: asyncio.Protocol, seen: bytes) -> None:
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if seen:
        protocol.data_received(seen)


def _refuse(transport: asyncio.Transport, refusal: Refusal) -> None:
    # The reason stands in the status line too: it is all that most clients show of a proxy's answer.
    body = refusal.reason.encode() + b"\n"
    challenge = (
        b'Proxy-Authenticate: Basic realm="vertex-tuning emulator"\r\n' if refusal.status == 407 else b""
    )
    transport.write(
        b"HTTP/1.1 %d %s\r\n%sContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
        % (refusal.status, refusal.reason.encode(), challenge, len(body), body)
    )
    transport.close()


async def _join(transport: asyncio.Transport, buffer: _Buffer, far: Connection) -> None:
    """Pass bytes between a transport and another connection until both have said all they have to say."""
    far_reader, far_writer = far
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_PIPE, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    _hand_over(transport, protocol, bytes(buffer.data))
    if buffer.closed:
        reader.feed_eof()
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    try:
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
    finally:
        far_writer.close()
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_PIPE):
            writer.write(data)
            await writer.drain()
    # TLS cannot be closed on one side alone.
    if writer.can_write_eof():
        with contextlib.suppress(OSError):
            writer.write_eof()
    else:
        writer.close()
