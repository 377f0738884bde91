"""Code that means no good, and what has to come of it: a reward that harms nobody, or words that name what was tried."""

# ruff: noqa: E501  # a table
from __future__ import annotations

from typing import Any, NamedTuple


class Hostile(NamedTuple):
    what: str
    code: str
    """The body of `evaluate(example, response)`; CANARY, FOLDER, PORT and PID are put in."""
    ends: str | float
    """A part of the error, in which `|` means or; or the reward."""


def body(what: str, code: str, ends: str | float) -> Hostile:
    lines = "\n    ".join(code.strip("\n").splitlines())
    return Hostile(what, f"def evaluate(example, response):\n    {lines}\n", ends)


DENIED = "PermissionError|OSError|FileNotFoundError|BlockingIOError"
LIBC = "import ctypes\nc = ctypes.CDLL(None, use_errno=True)\n"

ALL = [
    # Files
    body("reads the passwords", "return len(open('/etc/shadow').read())", DENIED),
    body("reads the users", "return len(open('/etc/passwd').read())", DENIED),
    body("reads a file of ours", "return len(open('CANARY').read())", DENIED),
    body("lists the home folder", "import os\nreturn len(os.listdir('FOLDER'))", DENIED),
    body("lists the root user's folder", "import os\nreturn len([n for n in os.listdir('/root') if n != '.pyenv'])", "|".join([DENIED]) + "|=0"),
    body("writes a file of ours", "open('CANARY', 'w').write('x')\nreturn 1", DENIED),
    body("writes into the home folder", "import os\nopen(os.path.expanduser('~/x'), 'w').write('x')\nreturn 1", DENIED),
    body("writes a temporary file", "import tempfile\ntempfile.NamedTemporaryFile()\nreturn 1", DENIED),
    body("writes beside the interpreter", "import sys\nopen(sys.prefix + '/x', 'w').write('x')\nreturn 1", DENIED),
    body("writes into /dev", "open('/dev/x', 'w').write('x')\nreturn 1", DENIED),
    body("writes into shared memory", "open('/dev/shm/x', 'w').write('x')\nreturn 1", DENIED),
    body("removes a file", "import os\nos.remove('CANARY')\nreturn 1", DENIED),
    body("moves a file", "import os\nos.rename('CANARY', 'CANARY.x')\nreturn 1", DENIED),
    body("makes a folder", "import os\nos.mkdir('/x')\nreturn 1", DENIED),
    body("makes a link", "import os\nos.symlink('/etc', '/x')\nreturn 1", DENIED),
    body("changes rights", "import os, sys\nos.chmod(sys.prefix, 0o777)\nreturn 1", DENIED),
    body("changes an owner", "import os, sys\nos.chown(sys.prefix, 1, 1)\nreturn 1", DENIED),
    body("makes a device", "import os\nos.mknod('/x', 0o020666, os.makedev(1, 3))\nreturn 1", DENIED),
    body("opens the memory", "open('/dev/mem', 'rb')\nreturn 1", DENIED),
    body("reads what others run", "return len(open('/proc/PID/environ').read())", DENIED),
    body("reads its own kernel files", "return len(open('/proc/self/maps').read())", DENIED),
    # Secrets
    body("looks for secrets", "import os\nreturn float(any('SECRET' in key or 'GOOGLE' in key for key in os.environ))", 0.0),
    body("looks for open files", "import os\nfound = 0\nfor n in range(4, 256):\n    try:\n        os.fstat(n)\n        found = 1\n    except OSError:\n        pass\nreturn found", 0.0),
    # The network
    body("connects to us", "import socket\nsocket.create_connection(('127.0.0.1', PORT), 1)\nreturn 1", DENIED),
    body("asks for a page", "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:PORT/', timeout=1)\nreturn 1", "URLError|" + DENIED),
    body("sends a packet", "import socket\nsocket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))\nreturn 1", DENIED),
    body("listens", "import socket\nsocket.create_server(('', 0))\nreturn 1", DENIED),
    body("opens a socket of the system's", "import socket\nsocket.socket(socket.AF_UNIX).connect('/run/x')\nreturn 1", DENIED),
    body("opens a raw socket", "import socket\nsocket.socket(socket.AF_PACKET, socket.SOCK_RAW)\nreturn 1", DENIED),
    # Processes
    body("starts a program", "import subprocess\nsubprocess.run(['touch', 'CANARY.x'])\nreturn 1", DENIED),
    body("starts a shell", "import os\nreturn float(os.system('touch CANARY.x') == 0)", 0.0),
    body("becomes a program", "import os\nos.execv('/bin/sh', ['sh'])\nreturn 1", DENIED),
    body("forks", "import os\nos.fork()\nreturn 1", DENIED),
    body("forks without end", "import os\nwhile True:\n    os.fork()", DENIED),
    body("forks by the kernel's own call", LIBC + "r = c.syscall(56, 17, 0, 0, 0, 0)\nreturn float(r != -1)", 0.0),
    body("forks by the newer call", LIBC + "b = ctypes.create_string_buffer(88)\nr = c.syscall(435, b, 88)\nreturn float(r != -1)", 0.0),
    body("uses several processes", "import multiprocessing as m\nm.Process(target=print).start()\nreturn 1", DENIED),
    body("kills whoever started it", "import os\nos.kill(os.getppid(), 9)\nreturn 0.5", "ended|died|=0.5"),
    body("interrupts whoever started it", "import os\nos.kill(os.getppid(), 2)\nreturn 0.5", 0.5),
    body("kills everybody", "import os\nos.kill(-1, 9)\nreturn 0.5", "ended|died|ProcessLookupError|=0.5"),
    body("kills us", "import os\nos.kill(PID, 9)\nreturn 1", "ProcessLookupError|PermissionError"),
    body("debugs whoever started it", LIBC + "import os\nreturn float(c.ptrace(16, os.getppid(), 0, 0) == 0)", 0.0),
    # The kernel
    body("mounts", LIBC + "return float(c.mount(b'none', b'/', b'tmpfs', 0, None) == 0)", 0.0),
    body("takes a namespace", LIBC + "return float(c.unshare(0x10000000) == 0)", 0.0),
    body("changes its root", LIBC + "return float(c.chroot(b'/') == 0)", 0.0),
    body("becomes root", "import os\nos.setuid(0)\nreturn 1", DENIED),
    body("makes a file in memory", "import os\nos.memfd_create('x')\nreturn 1", DENIED),
    body("shares memory", LIBC + "return float(c.shmget(1, 4096, 0o1666) != -1)", 0.0),
    body("makes an io_uring", LIBC + "b = ctypes.create_string_buffer(120)\nreturn float(c.syscall(425, 8, b) != -1)", 0.0),
    body("asks for keys", LIBC + "return float(c.syscall(250, 0, -3, 1) != -1)", 0.0),
    body("loads a program into the kernel", LIBC + "b = ctypes.create_string_buffer(128)\nreturn float(c.syscall(321, 0, b, 128) != -1)", 0.0),
    # Without end, without measure
    body("never ends", "while True:\n    pass", "longer than|processor time"),
    body("sleeps", "import time\ntime.sleep(1000)", "longer than"),
    body("will not be told", "import signal\nfor n in range(1, 32):\n    try:\n        signal.signal(n, signal.SIG_IGN)\n    except OSError:\n        pass\nwhile True:\n    pass", "longer than|processor time"),
    body("fills memory", "x = []\nwhile True:\n    x.append(bytearray(1 << 24))", "memory|longer than"),
    body("asks for all memory at once", "return len(bytearray(1 << 40))", "memory"),
    body("raises its limits", "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))\nreturn len(bytearray(1 << 33))", "ValueError|memory|PermissionError"),
    body("calls itself without end", "def f(n):\n    return f(n + 1)\nreturn f(0)", "RecursionError"),
    body("talks without end", "print('x' * (1 << 26))\nreturn 0.5", 0.5),
    body("answers without end", "import os\nos.write(3, b'x' * (1 << 20))\nreturn 0.5", "more than a number|without a result"),
    body("answers out of turn", "import os\nos.write(3, b'{\"id\": 99, \"reward\": 1}')\nos._exit(0)", "without a result"),
    body("starts threads without end", "import threading, time\nwhile True:\n    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()", "RuntimeError|memory|longer than"),
    body("crashes", "import ctypes\nctypes.string_at(0)\nreturn 1", "SIGSEGV"),
    body("leaves", "import os\nos._exit(0)", "without a result"),
    body("leaves politely", "import sys\nsys.exit(0)", "SystemExit"),
    # What is no number
    body("returns a text", "return '1.0'", "returned str"),
    body("returns nothing", "return None", "returned NoneType"),
    body("returns a list", "return [1.0]", "returned list"),
    body("returns a number that is too large", "return 10 ** 400", "too large"),
    body("returns a number that takes its time", "class N:\n    def __float__(self):\n        while True:\n            pass\nreturn N()", "longer than|processor time"),
    body("raises what cannot be said", "class E(Exception):\n    def __str__(self):\n        raise ValueError\nraise E", "cannot say"),
    body("spoils what we speak with", "import json\njson.dumps = lambda *a, **k: 'x'\nreturn 1", 1.0),
]  # fmt: skip


def cases(**given: Any) -> list[dict[str, Any]]:
    """Ready to run: with what is put in."""
    found = []
    for case in ALL:
        code = case.code
        for name, value in given.items():
            code = code.replace(name, str(value))
        # What ends by itself has time for it, on a busy machine too.
        seconds = 1 if "longer than" in str(case.ends) else 30
        found.append({"what": case.what, "code": code, "seconds": seconds})
    return found


def is_as_expected(case: Hostile, found: dict[str, Any]) -> bool:
    if isinstance(case.ends, float):
        return found.get("reward") == case.ends
    for end in case.ends.split("|"):
        if end.startswith("=") and found.get("reward") == float(end[1:]):
            return True
        if not end.startswith("=") and end in found.get("error", ""):
            return True
    return False
