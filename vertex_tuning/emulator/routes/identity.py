"""What Google's clients ask about who they are: tokens, IAM credentials. Everybody is welcome."""

from __future__ import annotations

import base64
import binascii
import json
import time
from typing import Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.status import ApiError, Code

routes = Routes()

TOKEN = "emulator"
"""The access token that everybody gets; any other, or none, is as good."""

_LIFETIME = 3600
_ACCOUNT = "projects/-/serviceAccounts/{account}"


@routes.post("token")
async def token(_: Call) -> dict[str, Any]:
    """`oauth2.googleapis.com/token`: the grant of a service account is taken as it is."""
    return {
        "access_token": TOKEN,
        "id_token": _identity_token("emulator"),
        "expires_in": _LIFETIME - 1,
        "token_type": "Bearer",
    }


@routes.get(f"{_ACCOUNT}/allowedLocations")
async def allowed_locations(_: Call) -> dict[str, Any]:
    """The trust boundary that google-auth looks up: none."""
    return {"locations": [], "encodedLocations": "0x0"}


@routes.post(f"{_ACCOUNT}:generateAccessToken")
async def generate_access_token(_: Call) -> dict[str, Any]:
    """Impersonation."""
    expiry = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + _LIFETIME))
    return {"accessToken": TOKEN, "expireTime": expiry}


@routes.post(f"{_ACCOUNT}:generateIdToken")
async def generate_id_token(call: Call) -> dict[str, Any]:
    """Impersonation, for an audience."""
    return {"token": _identity_token(str((await call.json()).get("audience", "")))}


@routes.post(f"{_ACCOUNT}:signBlob")
async def sign_blob(call: Call) -> dict[str, Any]:
    """A signature, as clients without a key of their own ask for a signed URL's."""
    try:
        payload = base64.b64decode(str((await call.json()).get("payload", "")), validate=True)
    except binascii.Error as error:
        raise ApiError(Code.INVALID_ARGUMENT, "payload is not base64.") from error
    signature = await call.emulator.keys.sign(payload)
    return {"keyId": "emulator", "signedBlob": base64.b64encode(signature).decode("ascii")}


def _identity_token(audience: str) -> str:
    """An unsigned JWT in the form of an identity token: clients look into it for its expiry."""

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    issued = int(time.time())
    claims = {"iss": "https://accounts.google.com", "aud": audience, "iat": issued, "exp": issued + _LIFETIME}
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."
