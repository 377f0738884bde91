"""Text as it comes: never half a character, never a piece of a stop sequence."""

from __future__ import annotations

from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from vertex_tuning import training
from vertex_tuning.emulator.serving.text import TextStream
from vertex_tuning.training.chat import ChatTokenizer

CHAT = ChatTokenizer(Path(training.__file__).parent / "tiny" / "tiny-0.1m")
WORDS = st.text(alphabet="ab ENDend<|>\n🎉é日 ", max_size=40)


def pushed(text: str, stops: list[str]) -> tuple[list[str], bool]:
    stream = TextStream(CHAT.tokenizer, stops)
    pieces = []
    for token in CHAT.tokenizer.encode(text, add_special_tokens=False).ids:
        pieces.append(stream.push(token))
        if stream.stopped:
            break
    return [*pieces, stream.rest()], stream.stopped


@given(WORDS)
def test_pieces_are_the_whole_text_and_no_character_is_split(text: str) -> None:
    pieces, _ = pushed(text, [])
    assert "".join(pieces) == text
    assert all("\ufffd" not in piece for piece in pieces)


@given(WORDS, st.lists(st.text(alphabet="abENDend", min_size=1, max_size=4), min_size=1, max_size=5))
@example("one END two", ["END"])
@example("aab", ["aab", "ab"])
@example("EEND", ["END"])
def test_text_ends_before_the_first_stop_sequence(text: str, stops: list[str]) -> None:
    pieces, stopped = pushed(text, stops)
    said = "".join(pieces)
    assert text.startswith(said)
    assert stopped == any(stop in text for stop in stops)
    if stopped:
        assert not any(stop in said for stop in stops)
        assert any(text[len(said) :].startswith(stop) for stop in stops)
    else:
        assert said == text


def test_what_may_become_a_stop_sequence_is_held_back() -> None:
    stream = TextStream(CHAT.tokenizer, ["END"])
    said = [stream.push(token) for token in CHAT.encode("the EN")]
    assert "".join(said) == "the "
    assert stream.rest() == "EN"


def test_an_answer_cut_in_the_midst_of_a_character_ends_before_it() -> None:
    stream = TextStream(CHAT.tokenizer)
    tokens = CHAT.encode("a🎉")
    assert "".join(stream.push(token) for token in tokens[:-1]) + stream.rest() == "a"
