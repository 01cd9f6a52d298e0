"""Whatever strategy answered a request, its record is explained, gone on with for nothing, and made a pool of."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from outthink import catalogue
from outthink.core.errors import BadInput, UsageError
from outthink.evaluation.pool import Pool
from outthink.gateway.exporting import export_records
from outthink.gateway.operation import Operation
from outthink.gateway.resuming import resume
from outthink.gateway.server import listening
from outthink.report.run_view import view
from outthink.testing.fake_server import FakeServer

CONFIG = """
[server]
state = "{folder}/state"
[models.fake]
upstreams = [{{ url = "{url}", model = "fake", engine = "vllm" }}]
[records]
folder = "{folder}/records"
{more}
"""
NEEDS_MORE = {"r2", "saffron"}
"""Strategies whose roles no gateway of one model has."""


def body_of(name: str) -> dict[str, Any]:
    """A request for a strategy, small enough for all of them."""
    how = {"strategy": name, "task": "math", "verifier": "mean_logprob", "budget": "6000 tokens, 60s"}
    more = {"n": 4} if "n" in catalogue.strategy(name).parameters else {}
    return {
        "model": "fake",
        "messages": [{"role": "user", "content": "What is 17 + 25?"}],
        "max_tokens": 200,
        "outthink": how | more,
    }


async def answered(folder: Path, url: str, more: str = "") -> dict[str, tuple[int, Any]]:
    """Status and reply of a request for each strategy."""
    (folder / "gateway.toml").write_text(CONFIG.format(folder=folder, url=url, more=more))
    replies = {}
    async with (
        Operation(folder / "gateway.toml", stream=io.StringIO()) as operation,
        listening(operation.gateway, drain_seconds=5.0) as base,
        aiohttp.ClientSession() as session,
    ):
        for name in sorted({*catalogue.strategies()} - NEEDS_MORE):
            headers = {"x-request-id": f"strategy-{name}"}
            async with session.post(f"{base}/v1/chat/completions", json=body_of(name), headers=headers) as reply:
                replies[name] = reply.status, await reply.json()
    return replies


@pytest.mark.slow
async def test_every_strategys_record_is_good_for_all_of_it(tmp_path: Path) -> None:
    async with FakeServer() as server:
        replies = await answered(tmp_path, server.url)
        asked = server.accounts.metrics()["requests"]
        for name, (status, reply) in replies.items():
            [record] = (tmp_path / "records").glob(f"*/strategy-{name}.db")
            shown = await asyncio.to_thread(view, record)
            assert shown["notes"] == [], name
            if status != 200:  # its scores are no weights, or the like
                assert shown["state"] == "failed", name
                assert reply["error"]["message"].startswith(shown["reason"]), name
                try:  # refused again, or still without an answer
                    again = await resume(record, file=tmp_path / "gateway.toml")
                except UsageError:
                    continue
                assert (again.answers, again.why_none) == ((), reply["error"]["message"]), name
                continue
            found = await resume(record, file=tmp_path / "gateway.toml")
            assert [each.text for each in found.answers] == [choice["message"]["content"] for choice in reply["choices"]], name
            made = await export_records(record, tmp_path / "one.parquet", metadata={"licence": "CC0-1.0"})
            assert made.written, name
        assert sum(status == 200 for status, _ in replies.values()) > 25
        assert server.accounts.metrics()["requests"] == asked
        made = await export_records(tmp_path / "records", tmp_path / "all.parquet", metadata={"licence": "CC0-1.0"})
        assert made.records == len(list((tmp_path / "records").glob("*/*.db"))) - sum(made.skipped.values())
        pool = Pool.read(tmp_path / "all.parquet")
        assert (pool.metadata["task"], pool.metadata["verifier"]) == ("math", "mean_logprob")
        assert pool.frame["score"].count()


@pytest.mark.slow
async def test_every_strategys_redacted_record_says_what_can_still_be_told(tmp_path: Path) -> None:
    async with FakeServer() as server:
        replies = await answered(tmp_path, server.url, 'texts = "digest"')
    for name in replies:
        [record] = (tmp_path / "records").glob(f"*/strategy-{name}.db")
        content = record.read_bytes()
        assert not any(said in content for said in (b"17 + 25", b"Step 1", b"boxed")), name
        shown = await asyncio.to_thread(view, record)
        assert "digests" in shown["texts"]
        assert all("they were changed as they were recorded" in note for note in shown["notes"]), (name, shown["notes"])
        with pytest.raises(BadInput, match="can't be asked again"):
            await resume(record, file=tmp_path / "gateway.toml")
