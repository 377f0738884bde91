"""A pytest plugin for Google's suites: they sleep five minutes between two looks at a job. Nothing else of theirs is touched."""

import time

_sleep = time.sleep


def _short(seconds: float) -> None:
    _sleep(min(seconds, 0.5))


time.sleep = _short
