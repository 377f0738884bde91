"""`client.tunings.get`, some times, by a program that knows nothing of an emulator."""

from __future__ import annotations

import json
import sys
import time

from google import genai
from google.genai import types

given = json.loads(sys.argv[1])
client = genai.Client(http_options=types.HttpOptions(api_version="v1beta1"))
client.tunings.get(name=given["name"])  # connects
found = []
for _ in range(given["calls"]):
    started = time.perf_counter()
    client.tunings.get(name=given["name"])
    found.append((time.perf_counter() - started) * 1000)
print(json.dumps({"ms": found}))
