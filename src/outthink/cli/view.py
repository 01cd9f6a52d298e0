"""`outthink view`: a recorded run as a page, served on this machine or written to one file. No network, nothing is spent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import click

from outthink.cli.options import as_json
from outthink.cli.terminal import Output, note
from outthink.core.errors import BadInput, OutthinkError, UnknownName

if TYPE_CHECKING:
    from outthink.core.strategy import Strategy

_HERE = re.compile(r"^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$")


@click.command()
@click.argument("journal", type=click.Path(dir_okay=False))
@click.option("--run", "name", help="Only this run of the journal.")
@click.option("--html", type=click.Path(dir_okay=False), help="Write one HTML file that needs no server, and end.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Serve here; default: a free port.")
@as_json
@click.pass_obj
def view(output: Output, journal: str, name: str | None, html: str | None, port: int) -> int:
    """Show what a run did and why it answered so.

    JOURNAL is what `solve`, `eval` or `record` wrote with --journal, or a gateway's record of a request; a run that is under way
    can be looked at too.
    """
    path = Path(journal).expanduser()
    if html is not None:
        target = Path(html).expanduser()
        write(path, target, name)
        output.show({"html": str(target)}, str(target))
        return 0
    server = PageServer(path, name, port)
    output.show({"url": server.url}, server.url)
    note("serving until Ctrl-C")
    try:
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        return 0
    finally:
        server.server_close()
    return 0


def write(journal: Path, target: Path, name: str | None = None) -> None:
    """Write a journal's page as one file. Raises BadInput, UnknownName, JournalDamaged."""
    from outthink.report.page import document, standalone

    text = standalone(document(journal, name, known(journal)))
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"can't be written: {error.strerror}", where=f"page {target}") from None


def known(journal: Path) -> Mapping[str, Strategy]:
    """Strategies that the catalogue hasn't: a gateway's own. Raises BadInput, JournalDamaged."""
    from outthink.runtime.recorded import read_header

    if read_header(journal).get("kind") != "gateway":
        return {}
    from outthink.gateway.runs import each

    return {each.name: each}


class PageServer(ThreadingHTTPServer):
    """Serves one journal's page to this machine only. Raises BadInput where the port is taken, JournalDamaged, UnknownName."""

    daemon_threads = True

    def __init__(self, journal: Path, name: str | None = None, port: int = 0) -> None:
        from outthink.report import page

        page.home(journal)  # what can't be read is said now
        self.journal, self.name, self.known = journal, name, known(journal)
        if name is not None:
            page.run(journal, name, self.known)
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise BadInput(f"port {port} can't be had: {error.strerror}", where="--port") from None

    @property
    def url(self) -> str:
        """Where it is to be seen."""
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    timeout = 30

    def do_GET(self) -> None:
        from outthink.report.page import static

        # A page of another site may send requests here under its own name (DNS rebinding): it isn't told anything.
        if not _HERE.match(self.headers.get("Host", "")):
            self._reply(403, b"this page is for this machine only\n", "text/plain")
            return
        asked = urlsplit(self.path)
        if asked.path.startswith("/data/"):
            self._data(asked.path.removeprefix("/data/"), {name: values[0] for name, values in parse_qs(asked.query).items()})
        elif (found := static(asked.path.removeprefix("/") or "index.html")) is not None:
            self._reply(200, *found)
        else:
            self._reply(404, b"there is nothing here\n", "text/plain")

    def _data(self, what: str, asked: dict[str, str]) -> None:
        from outthink.report import page

        journal, name = self.server.journal, self.server.name
        try:
            match what:
                case "home" if name is not None:
                    found = page.document(journal, name, self.server.known)["home"]
                case "home":
                    found = page.home(journal)
                case "run":
                    found = page.run(journal, name or asked.get("run"), self.server.known)
                case "sample":
                    found = page.sample(journal, name or asked.get("run"), asked.get("sample", ""))
                case _:
                    raise UnknownName("page", what, ["home", "run", "sample"])
        except OutthinkError as error:
            status = 404 if isinstance(error, UnknownName) else 500
            self._reply(status, json.dumps({"error": {"message": str(error)}}).encode(), "application/json")
            return
        self._reply(200, json.dumps(found, allow_nan=False).encode(), "application/json")

    def _reply(self, status: int, body: bytes, kind: str) -> None:
        from outthink.report.page import HEADERS

        self.send_response(status)
        for header, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: whoever looks at a page needs no log of it."""
