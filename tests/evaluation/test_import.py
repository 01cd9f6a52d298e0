"""What others recorded becomes a pool: every value where it belongs, nothing guessed, and a broken file named by its place."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.evaluation.importers import Options, format_of, import_pool
from outthink.evaluation.pool import Pool
from outthink.tasks import load

LICENCE = {"licence": "CC0-1.0"}


async def pool_of(source: Path, **how: Any) -> Pool:
    made = await import_pool(source, source.with_name("pool.parquet"), metadata=LICENCE, **how)
    pool = Pool.read(source.with_name("pool.parquet"))
    assert made.written == pool.frame.height
    return pool


def lines(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


async def test_a_table_with_a_column_map(tmp_path: Path) -> None:
    rows = [
        {"q": "2+2?", "label": 4, "out": {"text": "it is 4", "n": 5.0}, "ok": 1, "why": "max_tokens", "answer": "4"},
        {"q": "2+2?", "label": 4, "out": {"text": "it is 5", "n": 6}, "ok": 0, "why": "stop", "answer": "5"},
    ]
    columns = {
        "problem": "q",
        "gold": "label",
        "text": "out.text",
        "completion_tokens": "out.n",
        "correct": "ok",
        "finish": "why",
    }
    pool = await pool_of(lines(tmp_path / "a.jsonl", *rows), options=Options(columns, model="m"))
    assert pool.metadata["provenance"] == "imported from a.jsonl"
    assert pool.problems == (Problem("2+2?", gold="4"),)
    assert pool.frame["sample_index"].to_list() == [0, 1]
    assert pool.frame.select("text", "completion_tokens", "correct", "finish", "answer_class").rows() == [
        ("it is 4", 5, True, "length", "4"),
        ("it is 5", 6, False, "stop", "5"),
    ]


async def test_a_problem_a_line_with_lists_of_samples_graded_by_a_task(tmp_path: Path) -> None:
    row = {"problem": "2+2?", "gold": "4", "text": ["so \\boxed{4}", "so \\boxed{4.0}", "hm"], "completion_tokens": [1, 2, 3],
           "token_logprobs": [[-1.0], [-1.0, -2.0], None], "model": "m"}  # fmt: skip
    pool = await pool_of(lines(tmp_path / "a.jsonl", row), task=load("math"))
    assert pool.frame["answer_class"].to_list() == ["4", "4", None]
    assert pool.frame["correct"].to_list() == [True, True, False]
    assert pool.frame["token_logprobs"].to_list() == [[-1.0], [-1.0, -2.0], None]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"problem": "p", "text": "t"}, r"a.jsonl:2: .*--model"),
        ({"text": "t", "model": "m"}, r"a.jsonl:2: .*problem_id nor problem"),
        ({"problem": "p", "model": "m", "correct": "perhaps"}, "a.jsonl:2: correct: 'perhaps' must be true or false"),
        ({"problem": "p", "model": "m", "completion_tokens": 1.5}, "must be a whole number"),
        ({"problem": "p", "model": "m", "seconds": "soon"}, "must be a number"),
        ({"problem": "p", "model": "m", "text": ["a", "b"], "score": [1]}, "score has 1 values for 2 samples"),
        ({"problem": "p", "model": "m", "gold": "5"}, "a.jsonl:2: problem '.*' has the gold '5' here, and had '4' before"),
    ],
)
async def test_a_bad_row_is_named_by_its_place(tmp_path: Path, row: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        await pool_of(lines(tmp_path / "a.jsonl", {"problem": "p", "model": "m", "gold": "4"}, row))
    assert not (tmp_path / "pool.parquet").exists()


def lm_eval_line(document: int, filter: str, answer: str, right: float, *texts: str) -> dict[str, Any]:
    settings = {"until": ["Q:"], "do_sample": True, "temperature": 0.6}
    return {
        "doc_id": document,
        "doc": {"question": f"what is {document}?", "answer": f"thus\n#### {document}"},
        "target": "long",
        "arguments": {"gen_args_0": {"arg_0": f"Q: what is {document}?\nA:", "arg_1": settings}},
        "resps": [[*texts]],
        "filtered_resps": [answer],
        "filter": filter,
        "metrics": ["exact_match"],
        "exact_match": right,
    }


async def test_a_sample_log_of_lm_evaluation_harness(tmp_path: Path) -> None:
    (tmp_path / "results_2026.json").write_text('{"model_name": "gpt2"}')
    log = lines(
        tmp_path / "samples_gsm8k_2026.jsonl",
        lm_eval_line(3, "strict", "[invalid]", 0.0, "it is 3"),
        lm_eval_line(3, "flexible", "3", 1.0, "it is 3"),
    )
    assert format_of(log) == "lm-eval"
    strict, flexible = await pool_of(log), await pool_of(log, options=Options(filter="flexible"))
    assert strict.problems == (Problem("what is 3?", id="3", gold="3"),)
    assert (strict.models, json.loads(strict.frame["sampling"][0])) == (("gpt2",), {"temperature": 0.6, "stop": ["Q:"]})
    assert strict.frame.select("answer", "correct").row(0) == (None, False)
    assert flexible.frame.select("answer", "correct").row(0) == ("3", True)
    with pytest.raises(BadInput, match="no filter 'other'; it has flexible, strict"):
        await pool_of(log, options=Options(filter="other"))


GSM8K_CHAT = """{"doc_id": 0, "doc": {"question": "Tom has 3 apples and buys 4 more. How many has he?", "answer": "He has 3+4 \
= <<3+4=7>>7 apples.\\n#### 7"}, "target": "He has 3+4 = <<3+4=7>>7 apples.\\n#### 7", "arguments": {"gen_args_0": {"arg_0": \
["[{\\"role\\": \\"user\\", \\"content\\": \\"Question: Tom has 3 apples and buys 4 more. How many has he?\\\\nAnswer:\\"}]"], \
"arg_1": {"until": ["Question:", "</s>", "<|im_end|>"], "do_sample": false, "temperature": 0.0, "max_gen_toks": 256}}}, \
"resps": [["He buys 4 and has 3, so 7.\\n#### 7"]], "filtered_resps": ["7"], "filter": "strict-match", "metrics": \
["exact_match"], "doc_hash": "6ff2b0d1", "prompt_hash": "f00ba4", "target_hash": "0c1b2e", "exact_match": 1.0}
"""
"""One line as `--log_samples` writes it for gsm8k of a served model (`--apply_chat_template`): every response is text."""


async def test_a_chat_of_lm_evaluation_harness(tmp_path: Path) -> None:
    folder = tmp_path / "org__model"
    folder.mkdir()
    (folder / "results_2026-01-05T10-00-00.123456.json").write_text(
        '{"results": {}, "model_source": "hf", "model_name": "org/model"}'
    )
    log = folder / "samples_gsm8k_2026-01-05T10-00-00.123456.jsonl"
    log.write_text(GSM8K_CHAT)
    pool = await pool_of(log)
    assert pool.problems == (Problem("Tom has 3 apples and buys 4 more. How many has he?", id="0", gold="7"),)
    assert (pool.models, pool.frame.select("answer", "correct").row(0)) == (("org/model",), ("7", True))
    assert json.loads(pool.frame["sampling"][0]) == {
        "temperature": 0.0, "max_tokens": 256, "stop": ["Question:", "</s>", "<|im_end|>"],
    }  # fmt: skip
    asked = json.loads(GSM8K_CHAT)
    log.write_text(json.dumps({**asked, "doc": {"odd": True}}) + "\n")
    assert (await pool_of(log)).problems[0].text == "Question: Tom has 3 apples and buys 4 more. How many has he?\nAnswer:"
    choices = {
        **asked,
        "resps": [[["-3.5", "False"]], [["-1.5", "True"]]],
        "filtered_resps": [["-3.5", "False"], ["-1.5", "True"]],
    }
    log.write_text(json.dumps(choices) + "\n")
    with pytest.raises(BadInput, match="log-likelihoods of choices"):
        await pool_of(log)


async def test_the_metric_of_repeats_is_nobodys_grade(tmp_path: Path) -> None:
    log = lines(tmp_path / "samples_x.jsonl", lm_eval_line(3, "none", "3", 1.0, "it is 3", "it is 4"))
    pool = await pool_of(log, options=Options(model="m"))
    assert pool.frame.select("text", "answer", "correct").rows() == [("it is 3", None, None), ("it is 4", None, None)]
    choices = lines(tmp_path / "samples_y.jsonl", {"doc_id": 1, "resps": [[[-3.5, False]]]})
    with pytest.raises(BadInput, match="log-likelihoods of choices"):
        await pool_of(choices, options=Options(model="m"))


def inspect_sample(name: str, epoch: int, text: str, grade: Any) -> dict[str, Any]:
    content = [
        {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -2.0}]}
    ]
    choice = {"message": {"role": "assistant", "content": text}, "stop_reason": "max_tokens", "logprobs": {"content": content}}
    return {
        "id": name,
        "epoch": epoch,
        "input": [{"role": "system", "content": "s"}, {"role": "user", "content": "2+2?"}],
        "target": ["4"],
        "output": {"choices": [choice], "usage": {"input_tokens": 7, "output_tokens": 5}, "time": 0.5},
        "scores": {"match": {"value": grade, "answer": text[-1]}, "other": {"value": "I", "answer": "9"}},
    }


INSPECT = {
    "version": 2,
    "eval": {"task": "sums", "model": "openai/x", "created": "2026", "model_generate_config": {"temperature": 0.7}},
}


def check_inspect(pool: Pool) -> None:
    assert pool.problems == (Problem("2+2?", id="a", gold="4"),)
    assert pool.frame.select("answer", "correct", "finish", "prompt_tokens", "completion_tokens", "seconds").rows() == [
        ("4", True, "length", 7, 5, 0.5),
        ("5", False, "length", 7, 5, 0.5),
    ]
    assert pool.frame.select("temperature", "mean_logprob", "token_confidence").row(0) == (0.7, -0.5, 1.25)
    assert pool.frame["top_logprobs"][0].to_list() == [-0.5, -2.0]
    assert "task sums" in pool.metadata["provenance"]


async def test_a_log_of_inspect(tmp_path: Path) -> None:
    samples = [inspect_sample("a", 1, "it is 4", "C"), inspect_sample("a", 2, "it is 5", 0)]
    plain = tmp_path / "log.json"
    plain.write_text(json.dumps({**INSPECT, "samples": samples}))
    check_inspect(await pool_of(plain))
    other = await pool_of(plain, options=Options(scorer="other"))
    assert other.frame["answer"].to_list() == ["9", "9"]
    with pytest.raises(BadInput, match=r"sample 1: .*no scorer 'none'; there are match, other"):
        await pool_of(plain, options=Options(scorer="none"))


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, "zstandard"])
async def test_a_zipped_log_of_inspect(tmp_path: Path, compression: Any) -> None:
    files = {"header.json": INSPECT} | {
        f"samples/a_epoch_{epoch}.json": inspect_sample("a", epoch, text, grade)
        for epoch, text, grade in [(1, "it is 4", "C"), (2, "it is 5", "I")]
    }
    path = tmp_path / "log.eval"
    if compression == "zstandard":
        zipped(path, files)
    else:
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, content in files.items():
                archive.writestr(name, json.dumps(content))
    check_inspect(await pool_of(path))


def zipped(path: Path, files: dict[str, Any]) -> None:
    """A zip as inspect_ai writes it: members are stored in zstandard's own format, and the directory says so."""
    import zstandard

    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(name, zstandard.compress(json.dumps(content).encode()))
    data, at = bytearray(path.read_bytes()), -1
    while (at := data.find(b"PK\x01\x02", at + 1)) >= 0:
        struct.pack_into("<H", data, at + 10, 93)
    path.write_bytes(data)


async def test_a_sample_that_failed_and_a_damaged_log(tmp_path: Path) -> None:
    broken = {**inspect_sample("a", 1, "it is 4", "C"), "error": {"message": "the server is gone"}}
    plain = tmp_path / "log.json"
    plain.write_text(json.dumps({**INSPECT, "samples": [broken]}))
    assert (await pool_of(plain)).frame["failed"].to_list() == ["the server is gone"]
    plain.write_text(json.dumps({**INSPECT, "samples": [{"id": "a"}]}))
    with pytest.raises(BadInput, match="sample 1: is no sample of a log"):
        await pool_of(plain)
    plain.write_text(json.dumps({"version": 2, "samples": []}))
    with pytest.raises(BadInput, match="no log of inspect_ai"):
        await pool_of(plain, format="inspect")


async def test_recordings_of_crucible(tmp_path: Path) -> None:
    fixture = tmp_path / "best.json"
    trace = {"text": "so 4", "tokens": 9, "correct": True, "prm_score": 0.5}
    records = [{"problem_id": "p", "gold": "4", "traces": [trace, {**trace, "correct": False}]}]
    fixture.write_text(json.dumps({"meta": {"model": "qwen", "temperature": 0.7, "prm": "skywork"}, "records": records}))
    pool = await pool_of(fixture, problems=[Problem("2+2?", id="p", gold="4")])
    assert pool.problems == (Problem("2+2?", id="p", gold="4"),)
    assert pool.frame.select("model", "temperature", "score", "completion_tokens", "correct").rows() == [
        ("qwen", 0.7, 0.5, 9, True), ("qwen", 0.7, 0.5, 9, False),
    ]  # fmt: skip
    assert pool.metadata["verifier"] == "skywork"
    cassette = tmp_path / "cassette.json"
    steps = {
        "steps": [{"text": "one", "token_count": 1}, {"text": "two", "token_count": 1}],
        "compute": {"policy_gen_tokens": 5, "wall_seconds": 2.0},
    }
    record = {"problem": {"id": "p", "prompt": "2+2?", "answer": "4"}, "traces": [steps]}
    cassette.write_text(json.dumps({"backend": "ollama", "model": "qwen", "records": [record]}))
    assert (await pool_of(cassette)).frame.select("text", "completion_tokens", "seconds").row(0) == ("one\n\ntwo", 5, 2.0)
    cassette.write_text(json.dumps({"records": {}, "prm": "prm"}))
    with pytest.raises(BadInput, match="no whole samples"):
        await pool_of(cassette)


async def test_a_licence_must_be_stated(tmp_path: Path) -> None:
    source = lines(tmp_path / "a.jsonl", {"problem": "p", "model": "m"})
    with pytest.raises(BadInput, match="licence"):
        await import_pool(source, tmp_path / "pool.parquet", metadata={})


async def test_a_verifier_that_did_not_say_is_null(tmp_path: Path) -> None:
    row = {"problem_id": "p", "answer": "4", "correct": True, "model": "m", "step_scores": [0.5, float("nan"), None]}
    pl.DataFrame([row]).write_parquet(tmp_path / "a.parquet")
    pool = await pool_of(tmp_path / "a.parquet")
    assert pool.frame["step_scores"].to_list() == [[0.5, None, None]]


async def test_an_empty_cell_says_nothing(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("problem_id,model,text,answer,score,correct\np,m,,,,false\np,m,x,4,0.5,true\n")
    pool = await pool_of(source)
    assert pool.frame.select("text", "answer", "answer_class", "score").rows() == [("", None, None, None), ("x", "4", "4", 0.5)]


@pytest.mark.parametrize("text", ["", "\n\n", "[]"])
async def test_a_file_without_samples_makes_no_pool(tmp_path: Path, text: str) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text(text)
    with pytest.raises(BadInput, match=r"a\.jsonl: holds no sample"):
        await pool_of(source)
    assert not (tmp_path / "pool.parquet").exists()


async def test_a_value_that_is_refused_is_shown_in_short(tmp_path: Path) -> None:
    row = {"problem_id": "p", "answer": "4", "correct": True, "model": "m", "token_logprobs": [float("nan")] * 1000}
    pl.DataFrame([row]).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="column 'token_logprobs'") as refused:
        await pool_of(tmp_path / "a.parquet")
    assert len(str(refused.value)) < 300
    (tmp_path / "a.jsonl").write_text('{"problem_id": "p", "model": "m", "completion_tokens": ' + "9" * 6000 + "}")
    with pytest.raises(BadInput, match="completion_tokens: '999") as refused:
        await pool_of(tmp_path / "a.jsonl")
    assert len(str(refused.value)) < 300
