"""The frames of a shell, as bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from mapi.web.framing import Mint, Plain, choose, read
from mcli.models.mint_message import TerminalSize, UserInput, decode, encode

numbers = st.integers(-(2**31), 2**31 - 1)
messages = st.builds(UserInput, st.text()) | st.builds(TerminalSize, numbers, numbers)


@given(messages)
def test_what_is_encoded_is_decoded(message: UserInput | TerminalSize) -> None:
    assert decode(encode(message)) == message


@given(st.binary())
def test_bytes_that_are_no_message_are_refused_and_do_no_other_harm(data: bytes) -> None:
    try:
        decoded = decode(data)
    except ValueError:
        return
    assert decoded is None or decode(encode(decoded)) == decoded


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("12 04 08 50 10 18", TerminalSize(80, 24)),
        ("0a 03 0a 01 61", UserInput("a")),
        ("0a 05 0a 03 e2 82 ac", UserInput("€")),
        ("0a 00", UserInput("")),
        ("12 00", TerminalSize(0, 0)),
        ("12 02 10 18", TerminalSize(0, 24)),
        ("12 0b 08 ff ff ff ff ff ff ff ff ff 01", TerminalSize(-1, 0)),
        ("", None),
        ("1a 02 08 01", None),  # a message of a later version
        ("12 09 08 50 10 18 1d 01 02 03 04", TerminalSize(80, 24)),  # a field of a later version
        ("0a 03 0a 01 61 12 04 08 50 10 18", TerminalSize(80, 24)),  # the last one counts
    ],
)
def test_messages_are_what_protocol_buffers_make_of_them(
    data: str, message: UserInput | TerminalSize | None
) -> None:
    assert decode(bytes.fromhex(data)) == message


@pytest.mark.parametrize(
    "data", ["0a", "0a 05 0a", "12 02 08 80", "08 01", "0b", "0a 03 0a 01 ff", "0a 02 08 01"]
)
def test_what_is_cut_or_of_the_wrong_kind_is_refused(data: str) -> None:
    with pytest.raises(ValueError):
        decode(bytes.fromhex(data))


@given(st.text(), st.integers(1, 5))
def test_text_is_never_split_within_a_character(text: str, size: int) -> None:
    framing, data = Plain(), text.encode()
    frames = [framing.frame(data[place : place + size]) for place in range(0, len(data), size)]
    assert "".join(frame["text"] for frame in frames if frame) == text


@given(st.binary(min_size=1))
def test_bytes_are_sent_as_they_are(data: bytes) -> None:
    assert Mint().frame(data) == {"type": "websocket.send", "bytes": data}


@pytest.mark.parametrize(
    ("first", "framing"),
    [
        (None, Plain),
        ({"text": "a"}, Plain),
        ({"bytes": b"\x12\x00"}, Mint),
        ({"bytes": b"", "text": None}, Mint),
    ],
)
def test_the_first_frame_decides(first: Message | None, framing: type) -> None:
    assert isinstance(choose(first), framing)


def test_a_frame_says_what_was_typed_or_how_large_the_terminal_is() -> None:
    assert read({"text": "a"}) == UserInput("a")
    assert read({"bytes": encode(TerminalSize(3, 4))}) == TerminalSize(3, 4)
    assert read({"bytes": None}) is None
