"""The application: what an emulator consists of, and who answers which request."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from vertex_tuning.emulator.api import Call, Route
from vertex_tuning.emulator.state import Database
from vertex_tuning.emulator.status import ApiError, Code
from vertex_tuning.emulator.wire import Wire

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from vertex_tuning.emulator.settings import Settings

log = logging.getLogger(__name__)
