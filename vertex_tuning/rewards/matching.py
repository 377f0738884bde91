"""What of an answer is looked at, and what it is held against.

Regular expressions are RE2's, as GoogleSQL has them: no look-around, no back-references, linear time.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

EXACT, PARTIAL, REGEX = "EXACT_MATCH", "PARTIAL_MATCH", "REGEX_CONTAINS"
OPERATIONS = (EXACT, PARTIAL, REGEX)


class PatternError(ValueError):
    """Not a regular expression that RE2 takes; the message is RE2's."""


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> Any:
    """A compiled expression.

    Raises:
        PatternError: RE2 does not take it.
    """
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except UnicodeEncodeError as error:
        raise PatternError("half of a character stands alone (a surrogate)") from error
    except re2.error as error:
        words = error.args[0] if error.args else error
        raise PatternError(
            words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
        ) from error


def text_of(response: Any) -> str:
    """The text of a turn: all of its parts that are text and no thought, one after the other."""
    if isinstance(response, str):
        return response
    parts = response.get("parts") or ()
    return "".join(
        part["text"] for part in parts if isinstance(part.get("text"), str) and not part.get("thought")
    )


def extract(pattern: str, text: str) -> str | None:
    """The first group of the last match, or all of the match where there is no group; None where nothing matches.

    As GoogleSQL's REGEXP_EXTRACT, but for the last match instead of the first. A group that took no part in it is empty.
    """
    last = None
    for last in compiled(pattern).finditer(text):  # noqa: B007
        pass
    if last is None:
        return None
    return (last.group(1) or "") if last.re.groups else last.group(0)


def matches(operation: str, expression: str, target: str) -> bool:
    """Whether a text is as it should be.

    Raises:
        PatternError: The expression is to be a regular one, and is none.
    """
    if operation == EXACT:
        return target == expression
    if operation == PARTIAL:
        return expression in target
    return compiled(expression).search(target) is not None


def member(text: str, key: str) -> str | None:
    """The member of this name of a JSON object, as text; None where the text is no such object, or has none.

    Only the object itself is looked at, not what lies in it. A string counts without its quotes, anything else as JSON.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or key not in found:
        return None
    value = found[key]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
