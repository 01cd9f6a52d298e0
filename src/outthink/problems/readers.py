"""Rows of files: JSON Lines, JSON, CSV, TSV, plain text and Parquet, plain or gzipped, one row at a time.

Every reader yields `(place, row)`, where `row` is a mapping or a `BadRow` that says what is wrong there, so that one bad row
hides none of the others; the place names file and line. Files are hostile: a line is never longer than LONGEST_LINE in
memory, however long it is in the file. What a row means is decided in `outthink.problems.rows`.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from outthink.core.errors import BadInput, MissingExtra
from outthink.problems.rows import KNOWN, BadRow, Row

LONGEST_LINE = 16 * 1024**2
"""Bytes of one line."""
LARGEST_JSON = 512 * 1024**2
"""Bytes of one JSON document, which is read whole."""

Stream = io.BufferedReader | gzip.GzipFile
Rows = Iterator[tuple[str, Row | BadRow]]


def read(path: Path) -> Rows:
    """The rows of a file, by its name's ending, or by its first bytes where that says nothing."""
    try:
        with path.open("rb") as file:
            ending = path.name.lower().removesuffix(".gz").rpartition(".")[2]
            if path.is_file() and (file.peek(4)[:4] == b"PAR1" or ending in {"parquet", "pq"}):
                yield from _parquet(path)
            else:
                yield from read_stream(file, str(path), ending)
    except OSError as error:
        raise BadInput(f"can't be read: {error.strerror or error}", where=str(path)) from None


def read_stream(file: Any, name: str, ending: str = "") -> Rows:
    """The rows of an open binary file; an unknown ending is guessed from the first bytes."""
    stream: Stream = file if isinstance(file, io.BufferedReader) else io.BufferedReader(file)
    head = _peek(stream, name)
    if head[:2] == b"\x1f\x8b":
        stream = gzip.GzipFile(fileobj=stream)
        head = _peek(stream, name)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise BadInput("is UTF-16; save it as UTF-8", where=name)
    if head[:4] == b"PAR1":
        raise BadInput("is Parquet, which is read from a file only; name one", where=name)
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if ending in {"csv", "tsv"}:
        yield from _csv(stream, name, "\t" if ending == "tsv" else None)
    elif ending == "txt":
        yield from _texts(stream, name)
    elif ending not in {"json", "jsonl", "ndjson"} and not head.startswith((b"{", b"[")):
        _refuse_table(stream, name)
        yield from _texts(stream, name)
    elif head.startswith(b"["):
        yield from _json_array(stream, name)
    else:
        yield from _json_lines(stream, name)


def _refuse_table(stream: Stream, name: str) -> None:
    """Raise BadInput where the first line, which nothing says is CSV, holds names of columns: it would be taken for a problem."""
    first = stream.peek(1 << 12).partition(b"\n")[0].decode(errors="replace").lower()
    fields = {field.strip(' "\ufeff\r') for field in re.split("[,;\t]", first)}
    if len(fields) > 1 and all(re.fullmatch(r"\w+", field) for field in fields) and fields & {*KNOWN["problem"]}:
        raise BadInput(
            "begins like a table; its name must end in .csv or .tsv. Anything else, and standard input, is JSON Lines, a JSON "
            "list, or one problem a line",
            where=name,
        )


def _peek(stream: Stream, name: str) -> bytes:
    try:
        return stream.peek(4)[:4]
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"is a broken gzip file: {error}", where=name) from None


def _lines(stream: Stream, name: str) -> Iterator[tuple[int, str | BadRow]]:
    """Line numbers from 1, and lines as text."""
    number = 0
    while True:
        try:
            line = stream.readline(LONGEST_LINE + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            yield number + 1, BadRow(f"the gzip file breaks off or is damaged here: {error}")
            return
        if not line:
            return
        number += 1
        if len(line) > LONGEST_LINE:
            yield number, BadRow(f"the line is longer than {LONGEST_LINE // 1024**2} MiB; what follows was not read")
            return
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        try:
            yield number, line.decode()
        except UnicodeDecodeError as error:
            yield (
                number,
                BadRow(f"not UTF-8: byte {error.start + 1} of the line is 0x{line[error.start]:02x}; save the file as UTF-8"),
            )


def _json(text: str, decode: Any = json.loads) -> Any:
    """Decoded JSON; raises BadRow with what is wrong."""

    def refuse(constant: str) -> Any:
        raise BadRow(f"{constant} is not JSON; write null")

    try:
        return decode(text, parse_constant=refuse, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise BadRow(f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise BadRow("not JSON that can be read: it is nested too deeply") from None


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= 300 else digits  # Python refuses to turn longer ones into text and back


def _json_lines(stream: Stream, name: str) -> Rows:
    for number, line in _lines(stream, name):
        place = f"{name}:{number}"
        if isinstance(line, BadRow):
            yield place, line
        elif line.strip():
            try:
                row = _json(line.strip())
            except BadRow as error:
                yield place, error
            else:
                yield place, row if isinstance(row, dict) else BadRow('a row must be an object such as {"problem": "..."}')


def _json_array(stream: Stream, name: str) -> Rows:
    """A whole document, item by item, so that each has its line."""
    data = stream.read(LARGEST_JSON + 1)
    if len(data) > LARGEST_JSON:
        raise BadInput(f"is larger than {LARGEST_JSON // 1024**2} MiB; write it as JSON Lines, which is read by line", where=name)
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(f"not UTF-8: byte 0x{data[error.start]:02x}; save the file as UTF-8", where=f"{name}:{line}") from None
    position, line, counted = text.index("[") + 1, 1, 0
    while True:
        while position < len(text) and text[position] in " \t\r\n,":
            position += 1
        line, counted = line + text.count("\n", counted, position), position
        place = f"{name}:{line}"
        if text[position : position + 1] in ("]", ""):
            if position >= len(text):
                yield place, BadRow("not JSON: the list is not closed by ]")
            elif text[position + 1 :].strip():
                yield place, BadRow("not JSON: something follows the closing ]")
            return
        start = position

        def item(_: str, *, start: int = start, **options: Any) -> Any:
            return json.JSONDecoder(**options).raw_decode(text, start)

        try:
            row, position = _json("", item)
        except BadRow as error:
            yield place, error
            return
        yield place, row if isinstance(row, dict) else BadRow('an item must be an object such as {"problem": "..."}')


def _texts(stream: Stream, name: str) -> Rows:
    """One problem a line."""
    for number, line in _lines(stream, name):
        if isinstance(line, BadRow) or line.strip():
            yield f"{name}:{number}", line if isinstance(line, BadRow) else {"problem": line.strip()}


def _csv(stream: Stream, name: str, delimiter: str | None) -> Rows:
    first, bad = 1, BadRow("")

    def decoded() -> Iterator[str]:
        nonlocal bad
        for _, line in _lines(stream, name):
            if isinstance(line, BadRow):
                bad = line
                raise csv.Error
            yield line

    lines = decoded()
    try:
        head = next(lines, "")
        if delimiter is None:
            delimiter = ";" if ";" in head and "," not in head else ","
        reader = csv.reader(_chain(head, lines), delimiter=delimiter, strict=True)
        header = [column.strip() for column in next(reader, [])]
        if len(set(header)) < len(header) or "" in header:
            yield f"{name}:1", BadRow(f"the header has an empty or a repeated column name: {', '.join(header)[:300]}")
            return
        first = reader.line_num + 1
        for cells in reader:
            place, first = f"{name}:{first}", reader.line_num + 1
            if len(cells) not in (0, len(header)):
                yield place, BadRow(f"{len(cells)} cells where the header has {len(header)} columns")
            elif cells:
                yield place, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        yield f"{name}:{first}", bad if bad.args[0] else BadRow(f"not CSV: {error}; what follows was not read")


def _chain(head: str, rest: Iterator[str]) -> Iterator[str]:
    yield head
    yield from rest


def _parquet(path: Path) -> Rows:
    try:
        import polars
    except ImportError:
        raise MissingExtra("reading Parquet files", "evaluate") from None
    start, size = 0, 1024
    try:
        while True:
            table = polars.scan_parquet(path, glob=False).slice(start, size).collect()
            for number, row in enumerate(table.iter_rows(named=True), start + 1):
                yield f"{path}: row {number}", row
            if table.height < size:
                return
            start += size
    except polars.exceptions.PolarsError as error:
        raise BadInput(f"is no Parquet file that can be read: {str(error).splitlines()[0][:300]}", where=str(path)) from None
