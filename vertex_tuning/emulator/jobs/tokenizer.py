"""Whether a tokenizer and its chat template can be used: `python -m vertex_tuning.emulator.jobs.tokenizer FOLDER`.

A process of its own: the server stays small, and a template that never comes to an end is ended with it. What
is wrong goes to standard output.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_SECONDS = 60


def fault(folder: Path) -> str:
    """What is wrong with the tokenizer of a folder with a model; empty where nothing is."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(folder)],
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"it took more than {_SECONDS} seconds"
    return "" if done.returncode == 0 else done.stdout.strip() or "the process that tried it died"


def _try(folder: Path) -> None:
    from vertex_tuning.training.chat import ChatTokenizer

    chat = ChatTokenizer(folder)
    chat.render([{"role": "user", "content": "."}], answer=True)
    if not all(isinstance(token, int) for token in chat.end_ids):
        raise ValueError("eos_token_id must be a number")
    most = max(*chat.end_ids, chat.tokenizer.get_vocab_size(with_added_tokens=True) - 1, 0)
    size = json.loads((folder / "config.json").read_bytes())["vocab_size"]
    if most >= size:
        raise ValueError(f"it has more tokens than the model: {most + 1} for {size}")


def main() -> int:
    """Try the tokenizer of the folder that is named."""
    try:
        _try(Path(sys.argv[1]))
    except Exception as error:  # `tokenizers` raises nothing more special, and a template what it likes
        print(f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
