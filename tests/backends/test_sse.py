import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.backends.sse import Event, EventParser, OversizedEvent

FRAGMENTS = st.sampled_from(
    b"data:|data: |event: x|error: |:|id: 1|\n|\r|\r\n|\n\n|{}|[DONE]|\xef\xbb\xbf|\xe2\x82\xac|\xff| ".split(b"|")
)


def parse(pieces: list[bytes]) -> list[Event]:
    parser = EventParser()
    return [event for piece in pieces for event in parser.feed(piece)] + parser.close()


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(edges)]


def by_the_book(stream: bytes) -> list[Event]:
    """The rules, one line at a time, over the whole stream."""
    stream = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events, name, data = [], b"message", []
    for line in [*stream.split(b"\n"), b""]:
        field, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if not line:
            if data:
                events.append(Event(name, b"\n".join(data)))
            name, data = b"message", []
        elif field == b"event":
            name = value or b"message"
        elif field in (b"data", b"error"):
            name = b"error" if field == b"error" else name
            data.append(value)
    return events


@given(st.lists(FRAGMENTS).map(b"".join), st.lists(st.integers(0, 200)))
def test_cutting_never_changes_the_events(stream: bytes, places: list[int]) -> None:
    assert parse(cut(stream, places)) == parse([stream]) == by_the_book(stream)


@given(
    st.lists(st.lists(st.binary().map(lambda b: b.replace(b"\r", b"").replace(b"\n", b"")), min_size=1), max_size=6),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.lists(st.integers(0, 500)),
)
def test_what_a_server_encodes_comes_back(payloads: list[list[bytes]], end: bytes, places: list[int]) -> None:
    stream = b"".join(b"".join(b"data: " + line + end for line in lines) + b": ping" + end + end for lines in payloads)
    assert parse(cut(stream, places)) == [Event(b"message", b"\n".join(lines)) for lines in payloads]


def test_last_event_without_blank_line_is_delivered_at_the_end() -> None:
    parser = EventParser()
    assert parser.feed(b"data: 1\n\ndata: [DONE]") == [Event(b"message", b"1")]
    assert parser.close() == [Event(b"message", b"[DONE]")]


def test_old_llama_cpp_errors_are_events() -> None:
    assert parse([b'error: {"code":500}\n\n']) == [Event(b"error", b'{"code":500}')]


@pytest.mark.parametrize("line", [b"x" * 10, b"data: 12345678\n", b":" * 10, b"event: " + b"e" * 10])
def test_an_endless_event_is_refused_with_bounded_memory(line: bytes) -> None:
    parser = EventParser(limit=1000)
    with pytest.raises(OversizedEvent, match="1000 bytes"):
        [parser.feed(line) for _ in range(200)]


def test_the_bound_is_per_event() -> None:
    parser = EventParser(limit=100)
    assert len([event for _ in range(1000) for event in parser.feed(b"data: " + b"x" * 50 + b"\n\n")]) == 1000
