"""`outthink view`: the page of a journal as one file, and served on this machine only."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from outthink.cli.view import PageServer
from outthink.core.errors import BadInput
from outthink.report.page import HEADERS
from tests.cli.conftest import Outthink
from tests.report.recorded import recorded


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    recorded(tmp_path / "run.db", "majority", parameters={"n": 4})
    return tmp_path / "run.db"


@contextmanager
def serving(journal: Path, name: str | None = None) -> Iterator[PageServer]:
    server = PageServer(journal, name)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def asked(server: PageServer, path: str, host: str = "") -> tuple[int, dict[str, str], bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)) as connection:
        connection.request("GET", path, headers={"Host": host} if host else {})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()


def test_one_file_is_written(outthink: Outthink, journal: Path, tmp_path: Path) -> None:
    said = outthink("view", str(journal), "--html", str(tmp_path / "out.html"))
    assert (said.code, said.out.strip(), said.err) == (0, str(tmp_path / "out.html"), "")
    assert (tmp_path / "out.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert outthink("view", str(journal), "--html", str(tmp_path / "out.html"), "--json").document == {
        "html": str(tmp_path / "out.html")
    }


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["{folder}/none.db", "--html", "{folder}/out.html"], "no such file"),
        (["{folder}/run.db", "--html", "{folder}/none/out.html"], "can't be written"),
        (["{folder}/run.db", "--html", "{folder}/out.html", "--run", "hat"], "no run is called 'hat'"),
        (["{folder}/text.db", "--html", "{folder}/out.html"], "no journal of ours"),
        (["{folder}/text.db"], "no journal of ours"),
    ],
)
def test_what_cant_be_shown_is_said(arguments: list[str], why: str, outthink: Outthink, journal: Path, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("words " * 2000)
    said = outthink("view", *(each.format(folder=tmp_path) for each in arguments))
    assert said.code == 2
    assert why in said.err
    assert not (tmp_path / "out.html").exists()


def test_the_page_and_its_data_are_served(journal: Path) -> None:
    with serving(journal) as server:
        status, headers, body = asked(server, "/")
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert HEADERS.items() <= headers.items()
        assert b'src="main.js"' in body
        assert asked(server, "/main.js")[1]["Content-Type"] == "text/javascript; charset=utf-8"
        home = json.loads(asked(server, "/data/home")[2])
        assert (home["kind"], home["total"]) == ("journal", 1)
        run = json.loads(asked(server, f"/data/run?run={home['runs'][0]['name']}")[2])
        assert len(run["samples"]) == 4
        text = json.loads(asked(server, "/data/sample?sample=0%231")[2])
        assert text["text"] == run["samples"][1]["text"]


def test_nothing_else_is_served_and_to_nobody_else(journal: Path) -> None:
    with serving(journal) as server:
        for path in (
            "/../run.db",
            "/run.db",
            "/etc/passwd",
            "/data/",
            "/data/other",
            "/data/run?run=other",
            "/data/sample?sample=7",
        ):
            status, headers, body = asked(server, path)
            assert status == 404
            assert HEADERS.items() <= headers.items()
            assert b"SQLite" not in body
        for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", ""):
            if host:
                assert asked(server, "/data/home", host)[0] == 403


def test_a_journal_that_breaks_while_it_is_served_is_said(journal: Path) -> None:
    with serving(journal, "hard") as server:
        assert json.loads(asked(server, "/data/home")[2])["runs"][0]["name"] == "hard"
        for end in ("-wal", "-shm"):
            journal.with_name(journal.name + end).unlink(missing_ok=True)
        journal.write_text("gone " * 2000)
        status, _, body = asked(server, "/data/run?run=hard")
        assert status == 500
        assert "no journal of ours" in json.loads(body)["error"]["message"]


def test_a_port_that_is_taken(journal: Path) -> None:
    with serving(journal) as server, pytest.raises(BadInput, match="can't be had"):
        PageServer(journal, port=server.server_address[1])
