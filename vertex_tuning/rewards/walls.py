"""Runs code that nobody has read. A program by itself: it is started by `sandbox.py`, and imports nothing of this package.

    supervisor   builds a world with nothing in it but the interpreter's files, read-only, and no network; gives up who it is
      init       the first process of a process namespace of its own; takes one call after the other, ends everything after each
        call     one evaluation: limited time, memory and output, and no way to start another process

Each wall would do by itself for most of what one has to fear; together they hold where one of them has a hole:

    mount namespace     a new root, with the interpreter and its libraries alone, bound read-only; no /proc, no /tmp, no home
    user                nobody: another user where we are root, one without any capability where we are not
    network namespace   without any interface
    process namespace   nobody outside can be seen or signalled, and nothing outlives a call
    IPC, UTS            their own
    Landlock            reading is all that can be done to files, where the kernel has it; no TCP, no signals to others
    seccomp             no sockets, no other programs, no debugging, no keys, no new namespaces, no changes to files' owners
    limits              CPU time, address space, file size, open files, core dumps
    no_new_privs        nothing that is run gains what we have given up

A wall that cannot be built ends the supervisor before any code has run; it says which. Landlock alone may be missing: kernels
before 5.13 have none, and the new root is read-only anyway.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import platform
import re
import resource
import select
import signal
import struct
import sys
import time
import traceback
import types
from pathlib import Path
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)

NOBODY = 65534
RESULT_LIMIT = 64 * 1024
_SNIPPET = "reward"

# clone(2)
_NEWNS, _NEWUTS, _NEWIPC = 0x20000, 0x4000000, 0x8000000
_NEWUSER, _NEWPID, _NEWNET = 0x10000000, 0x20000000, 0x40000000
_NEWCGROUP, _NEWTIME, _CLONE_THREAD = 0x02000000, 0x80, 0x10000
_NEW_ANY = _NEWNS | _NEWUTS | _NEWIPC | _NEWUSER | _NEWPID | _NEWNET | _NEWCGROUP | _NEWTIME
# mount(2), umount(2)
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE, _MS_RELATIME = 32, 4096, 16384, 1 << 18, 1 << 21
_MNT_DETACH = 2
# prctl(2)
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP = 1, 4, 22
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_PLACES = ("/mnt", "/media", "/srv", "/tmp", "/opt", "/sys")
"""Where a new root may be put together; one of them that holds nothing that is to be seen."""

# Numbers of system calls: x86_64, aarch64. Source: the kernel's tables (arch/x86/entry/syscalls, include/uapi/asm-generic).
_DENIED = """
    socket 41/198 socketpair 53/199 connect 42/203 bind 49/200 listen 50/201 accept 43/202 accept4 288/242
    sendto 44/206 sendmsg 46/211 sendmmsg 307/269 execve 59/221 execveat 322/281 ptrace 101/117 kcmp 312/272
    process_vm_readv 310/270 process_vm_writev 311/271 process_madvise 440/440 pidfd_open 434/434
    pidfd_getfd 438/438 pidfd_send_signal 424/424 mount 165/40 umount2 166/39 pivot_root 155/41
    chroot 161/51 move_mount 429/429 open_tree 428/428 fsopen 430/430 fsconfig 431/431 fsmount 432/432
    fspick 433/433 mount_setattr 442/442 setns 308/268 unshare 272/97 keyctl 250/219 add_key 248/217
    request_key 249/218 bpf 321/280 perf_event_open 298/241 userfaultfd 323/282 io_uring_setup 425/425
    io_uring_enter 426/426 io_uring_register 427/427 init_module 175/105 finit_module 313/273
    delete_module 176/106 kexec_load 246/104 kexec_file_load 320/294 reboot 169/142 swapon 167/224
    swapoff 168/225 acct 163/89 settimeofday 164/170 clock_settime 227/112 clock_adjtime 305/266
    adjtimex 159/171 quotactl 179/60 quotactl_fd 443/443 open_by_handle_at 304/265 name_to_handle_at 303/264
    fanotify_init 300/262 fanotify_mark 301/263 memfd_create 319/279 memfd_secret 447/447 shmget 29/194
    shmat 30/196 shmctl 31/195 msgget 68/186 msgsnd 69/189 msgrcv 70/188 semget 64/190 semop 65/193
    semtimedop 220/192 mq_open 240/180 mq_unlink 241/181 personality 135/92 syslog 103/116 vhangup 153/58
    iopl 172/- ioperm 173/- modify_ldt 154/- chmod 90/- fchmod 91/52 fchmodat 268/53 chown 92/- fchown 93/55
    lchown 94/- fchownat 260/54 utime 132/- utimes 235/- utimensat 280/88 futimesat 261/- setxattr 188/5
    lsetxattr 189/6 fsetxattr 190/7 removexattr 197/14 lremovexattr 198/15 fremovexattr 199/16
    setpriority 141/140 sched_setscheduler 144/119 sched_setattr 314/274 ioprio_set 251/30
    sethostname 170/161 setdomainname 171/162 uselib 134/- ustat 136/- sysfs 139/- migrate_pages 256/238
    move_pages 279/239 mbind 237/235 set_mempolicy 238/237 mknod 133/- mknodat 259/33
"""
_CLONE, _CLONE3, _FORKS = (56, 220), (435, 435), ((57, -1), (58, -1))
_FIRST_UNKNOWN = 448
"""Later system calls are not there, as far as the code can tell: what they do nobody has looked at."""
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

Json = dict[str, Any]


class WallError(Exception):
    """A wall that cannot be built."""


def main() -> None:
    """Build the walls, say whether they stand, take calls until the line is closed."""
    settings: Json = json.loads(sys.argv[1])
    try:
        _architecture()
        _leave(settings["paths"])
        _give_up(was_root=settings["root"])
        init = os.fork()
    except (WallError, OSError) as error:
        _say({"ready": False, "why": str(error)})
        return
    if init:
        os.close(0)
        os.close(1)
        os.waitpid(init, 0)
        return
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The first process of a namespace gets from within only the signals that it handles: let there be none.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        fenced = _fence()
        _filter(forks=True)
    except (WallError, OSError) as error:
        _say({"ready": False, "why": str(error)})
        os._exit(1)
    _say({"ready": True, "landlock": fenced})
    _serve(settings)
    os._exit(0)


def _say(message: Json) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


# The world


def _leave(paths: list[str]) -> None:
    """Into a world of our own, in which there are these paths and nothing else."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    user, group = os.geteuid(), os.getegid()
    spaces = _NEWNS | _NEWUTS | _NEWIPC | _NEWPID | _NEWNET
    # Root needs no user namespace, and does better without: it can become somebody else.
    _call("unshare", spaces if user == 0 else spaces | _NEWUSER, what="namespaces of its own")
    if user != 0:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{NOBODY} {user} 1")
        _write("/proc/self/gid_map", f"{NOBODY} {group} 1")
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE, "private mounts")
    os.umask(0o022)
    free = (
        place
        for place in _PLACES
        if Path(place).is_dir() and not any(f"{path}/".startswith(f"{place}/") for path in paths)
    )
    root = next(free, None)
    if root is None:
        raise WallError("there is no folder for a root of its own")
    _mount("none", root, "tmpfs", _MS_NOSUID | _MS_NODEV, "a root of its own", b"size=1m,mode=755")
    for path in paths:
        _bind(path, root)
    _mount(None, root, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV, "a read-only root")
    os.chdir(root)
    _call("syscall", (155, 41)[_architecture()[0]], b".", b".", what="a root of its own")  # pivot_root(2)
    _call("umount2", b".", _MNT_DETACH, what="nothing of the old root")
    os.chdir("/")


def _bind(path: str, root: str) -> None:
    target = root + path
    if Path(path).is_dir():
        Path(target).mkdir(parents=True, exist_ok=True)
    else:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).touch()
    _mount(path, target, None, _MS_BIND | _MS_REC, path)
    flags = _MS_REMOUNT | _MS_BIND | _MS_NOSUID | _flags(target)
    _mount(None, target, None, flags if path.startswith("/dev/") else flags | _MS_RDONLY | _MS_NODEV, path)


def _flags(target: str) -> int:
    """What a mount is bound to already: where we are root in our own world alone, that may not be taken from it."""
    flags = os.statvfs(target).f_flag
    kept = flags & (_MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC | os.ST_NOATIME | os.ST_NODIRATIME)
    return kept | (_MS_RELATIME if flags & os.ST_RELATIME else 0)


def _give_up(*, was_root: bool) -> None:
    """Everything that we may do beyond what anybody may."""
    if was_root:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    else:
        for capability in range(64):
            _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
        header = struct.pack("Ii", 0x20080522, 0)
        _call("capset", header, bytes(24), what="no capabilities")
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_DUMPABLE, 0)
    # A change of who we are takes this back.
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.geteuid() != NOBODY:
        raise WallError("the user could not be changed")


# Landlock(7)


def _fence() -> int:
    """Files may be read, and nothing else be done to them. Returns Landlock's version; 0: the kernel has none."""
    abi = int(_LIBC.syscall(444, None, ctypes.c_size_t(0), 1))
    if abi < 1:
        return 0
    everything = {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)
    files = (1 << everything) - 1
    network = 3 if abi >= 4 else 0
    scoped = 3 if abi >= 6 else 0
    attributes = struct.pack("QQQ", files, network, scoped)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    rules = _call("syscall", 444, attributes, ctypes.c_size_t(len(attributes)), 0, what="Landlock")
    top = os.open("/", os.O_PATH | os.O_CLOEXEC)
    allowed = struct.pack("=Qi", 1 << 2 | 1 << 3, top)  # LANDLOCK_ACCESS_FS_READ_FILE, _READ_DIR
    _call("syscall", 445, rules, 1, allowed, 0, what="Landlock")
    null = os.open("/dev/null", os.O_PATH | os.O_CLOEXEC)
    _call("syscall", 445, rules, 1, struct.pack("=Qi", 1 << 1 | 1 << 2, null), 0, what="Landlock")
    _call("syscall", 446, rules, 0, what="Landlock")
    for number in (rules, top, null):
        os.close(number)
    return abi


# seccomp(2)


def _architecture() -> tuple[int, int]:
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise WallError(f"the system calls of {machine} are not known here")
    return _ARCHITECTURES[machine]


def _filter(*, forks: bool) -> None:
    """Take system calls away; `forks`: whether processes may still be started."""
    column, audit = _architecture()

    def number(of: tuple[int, int]) -> int:
        return of[column]

    load, equal, above, anyof, answer = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, kill = 0x7FFF0000, 0x80000000
    denied, absent = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
    program = [
        (load, 0, 0, 4),
        *((equal, 1, 0, audit), (answer, 0, 0, kill)),
        (load, 0, 0, 0),
        # The x32 calls of x86_64 begin there; and what is newer than this table.
        *((above, 0, 1, 0x40000000), (answer, 0, 0, kill)),
        *((above, 0, 1, _FIRST_UNKNOWN), (answer, 0, 0, absent)),
    ]
    for numbers in re.findall(r"(\d+)/(-|\d+)", _DENIED):
        if numbers[column] != "-":
            program += [(equal, 0, 1, int(numbers[column])), (answer, 0, 0, denied)]
    # What clone3 would do stands in memory, where a filter cannot look: it is not there, and clone is used instead.
    program += [(equal, 0, 1, number(_CLONE3)), (answer, 0, 0, absent)]
    if not forks:
        for call in _FORKS:
            if number(call) >= 0:
                program += [(equal, 0, 1, number(call)), (answer, 0, 0, denied)]
    program += [(equal, 0, 5 if not forks else 3, number(_CLONE)), (load, 0, 0, 16)]
    program += [(anyof, 0, 1, _NEW_ANY), (answer, 0, 0, denied)]
    if not forks:
        program += [(anyof, 1, 0, _CLONE_THREAD), (answer, 0, 0, denied)]
    program.append((answer, 0, 0, allow))
    code = b"".join(struct.pack("HBBI", *one) for one in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    holder = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(buffer))
    if _LIBC.prctl(_PR_SET_SECCOMP, 2, holder, 0, 0) != 0:
        raise WallError(f"seccomp: {os.strerror(ctypes.get_errno())}")


# Calls


def _serve(settings: Json) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    for line in sys.stdin:
        request: Json = json.loads(line)
        _say({"id": request["id"], **_evaluate(request, settings, null)})


def _evaluate(request: Json, settings: Json, null: int) -> Json:
    """One call, in a process that does not outlive it."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _one(request, settings, null, write)
        finally:
            os._exit(1)
    os.close(write)
    deadline = time.monotonic() + request["seconds"]
    said, late = b"", False
    while len(said) <= RESULT_LIMIT:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([read], [], [], left)[0]:
            late = True
            break
        chunk = os.read(read, 65536)
        if not chunk:
            break
        said += chunk
    os.close(read)
    status = _end(pid)
    if late:
        return {"error": f"it took longer than {request['seconds']:g} seconds", "late": True}
    return _result(said, status)


def _end(pid: int) -> int:
    """End everything that is left in here; how the call itself ended."""
    status = 0
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    while True:
        try:
            gone, how = os.waitpid(-1, 0)
        except ChildProcessError:
            return status
        if gone == pid:
            status = os.waitstatus_to_exitcode(how)


def _result(said: bytes, status: int) -> Json:
    if len(said) > RESULT_LIMIT:
        return {"error": "it said more than a number"}
    try:
        found = json.loads(said)
        if set(found) <= {"reward", "error"}:
            return dict(found)
    except (ValueError, TypeError):
        pass
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return {"error": "it used more processor time, or memory, than it may"}
    how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    return {"error": f"it {how}, without a result"}


def _one(request: Json, settings: Json, null: int, write: int) -> None:
    """In the process of the call. Whatever happens here hurts nobody else."""
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.dup2(write, 3)
    os.closerange(4, 4096)
    seconds = int(request["seconds"]) + 1  # the clock is to be first
    for limit, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, settings["memory"]),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
    ):
        resource.setrlimit(limit, (most, most))
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0, "r"), os.fdopen(1, "w"), os.fdopen(2, "w")
    _filter(forks=False)
    try:
        answer = json.dumps(_run(request))
    except MemoryError:
        answer = json.dumps({"error": "it needed more memory than it may have"})
    except BaseException as error:  # the code may raise what it likes
        answer = json.dumps({"error": _told(error)})
    os.write(3, answer.encode()[:RESULT_LIMIT])
    os._exit(0)


def _run(request: Json) -> Json:
    module = sys.modules[_SNIPPET] = types.ModuleType(_SNIPPET)  # where dataclasses look for what theirs name
    space = vars(module)
    exec(compile(request["code"], f"<{_SNIPPET}>", "exec"), space)
    evaluate = space.get("evaluate")
    if not callable(evaluate):
        return {"error": "it defines no function evaluate(example, response)"}
    value = evaluate(request["example"], request["response"])
    if isinstance(value, str | bytes) or value is None:
        return {"error": f"evaluate returned {type(value).__name__}, not a number"}
    try:
        return {"reward": float(value)}
    except OverflowError:
        return {"error": "evaluate returned a number that is too large"}
    except (TypeError, ValueError):
        return {"error": f"evaluate returned {type(value).__name__}, not a number"}


def _told(error: BaseException) -> str:
    """What was raised, and in which line of the code."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == f"<{_SNIPPET}>"
    ]
    if isinstance(error, SyntaxError) and error.lineno:
        lines.append(error.lineno)
    where = f" (line {lines[-1]})" if lines else ""
    try:
        words = str(error)
    except BaseException:
        words = "it cannot say what"
    return f"{type(error).__name__}: {words}"[:1000] + where


# The C library


def _call(name: str, *arguments: Any, what: str) -> int:
    result = int(getattr(_LIBC, name)(*arguments))
    if result < 0:
        raise WallError(f"{what}: {os.strerror(ctypes.get_errno())} ({name})")
    return result


def _prctl(option: int, value: int) -> None:
    if _LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise WallError(f"prctl {option}: {os.strerror(ctypes.get_errno())}")


def _mount(
    source: str | None, target: str, kind: str | None, flags: int, what: str, data: bytes | None = None
) -> None:
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    if _LIBC.mount(*words, ctypes.c_ulong(flags), data) != 0:
        raise WallError(f"{what}: {os.strerror(ctypes.get_errno())} (mount)")


def _write(path: str, text: str) -> None:
    Path(path).write_text(text, encoding="ascii")


if __name__ == "__main__":
    main()
