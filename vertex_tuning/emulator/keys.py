"""The keys of the front door, loaded when a program first comes through it; all work is done in threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import ssl

    from vertex_tuning.emulator.authority import Authority, ServiceAccount
    from vertex_tuning.emulator.settings import Settings

T = TypeVar("T")


class Keys:
    """The certificate authority and the service account of one data folder."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.data_dir / "front-door"
        self._project = settings.project
        self._lock = threading.Lock()
        self._loaded: tuple[Authority, ServiceAccount] | None = None

    async def context(self, host: str) -> ssl.SSLContext:
        """A server's TLS context for a host."""
        return await self._ask(lambda authority, _: authority.context(host))

    async def bundle(self) -> Path:
        """The CA bundle for programs."""
        return await self._ask(lambda authority, _: authority.bundle())

    async def key_file(self) -> Path:
        """The service account's key file."""
        return await self._ask(lambda _, account: account.key_file())

    async def sign(self, data: bytes) -> bytes:
        """The service account's signature."""
        return await self._ask(lambda _, account: account.sign(data))

    async def _ask(self, question: Callable[[Authority, ServiceAccount], T]) -> T:
        return await asyncio.to_thread(lambda: question(*self._load()))

    def _load(self) -> tuple[Authority, ServiceAccount]:
        with self._lock:
            if self._loaded is None:
                from vertex_tuning.emulator.authority import Authority, ServiceAccount

                self._loaded = Authority(self._folder), ServiceAccount(self._folder, self._project)
            return self._loaded
