"""llama.cpp's server as a second process: it answers, asks for its key, and ends with its block."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from outthink.backends.weights import model_file
from outthink.core.errors import BadInput
from outthink.testing.llama_server import llama_server


def fetched(url: str, key: str = "", payload: object = None) -> Any:
    body = None if payload is None else json.dumps(payload).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=300) as reply:
        return json.load(reply)


@pytest.mark.model
def test_it_serves_and_ends() -> None:
    with llama_server(model_file("embedded"), slots=1, context=256, api_key="secret") as url:
        assert fetched(f"{url}/models", "secret")["data"][0]["id"] == "SmolLM2-135M-Instruct.Q4_1"
        found = fetched(f"{url}/completions", "secret", {"prompt": "1 2 3", "max_tokens": 2})
        assert found["usage"]["completion_tokens"] == 2
        with pytest.raises(urllib.error.HTTPError, match="401"):
            fetched(f"{url}/models")
    with pytest.raises(OSError, match=r"[Rr]efused"):
        fetched(f"{url}/models", "secret")


def test_what_it_can_not_load_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    path = tmp_path / "none.gguf"
    with pytest.raises(BadInput, match="can't be read"), llama_server(path):
        pytest.fail("there is nothing to serve")
    path.write_bytes(b"GGUF\x03\0\0\0\x01" + bytes(100))
    with pytest.raises(BadInput, match="with code 1 before it listened: RuntimeError"), llama_server(path):
        pytest.fail("there is nothing to serve")
