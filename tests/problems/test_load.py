"""Problems from every kind of source: what they mean, and what is said of bad ones."""

import gzip
import io
import json
import os
import sys
import threading
import types

import pytest

from outthink.core.errors import BadInput, MissingExtra, UnknownName
from outthink.core.problem import Problem
from outthink.problems import load, read_once, readers
from tests.shared_data import shared


@pytest.fixture
def file(tmp_path):
    def write(name, data):
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return write


def refused(source, **options):
    with pytest.raises(BadInput) as caught:
        load(source, **options)
    return str(caught.value)


ROWS = [{"id": "a", "question": "1+1?", "answer": 2}, {"id": "b", "question": "1/4?", "answer": "0.25", "level": 3}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
WANTED = [Problem("1+1?", "a", "2"), Problem("1/4?", "b", "0.25", meta={"level": 3})]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("p.jsonl", LINES),
        ("p.jsonl", "\ufeff" + LINES.replace("\n", "\r\n\n")),
        ("p.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)),
        ("gzipped_without_saying_so.jsonl", gzip.compress(LINES.encode(), mtime=0)),
        ("unknown.data", LINES),
        ("p.json", json.dumps(ROWS)),
        ("p.json", "\ufeff" + json.dumps(ROWS, indent=2)),
        ("p.json", LINES),
    ],
)
def test_one_meaning_in_every_json_format(file, name, data):
    assert list(load(file(name, data))) == WANTED


def test_csv_tsv_text_and_parquet(file, tmp_path):
    wanted = [("1+1,\n?", "2"), ("1/4?", "0.25")]
    for name, data in {
        "p.csv": 'Question,Answer\r\n"1+1,\n?",2\r\n\r\n1/4?,0.25\r\n',
        "semicolons.csv": 'Question;Answer\n"1+1,\n?";2\n1/4?;0.25\n',
        "p.tsv": '\ufeffquestion\tgold\n"1+1,\n?"\t2\n1/4?\t0.25',
    }.items():
        assert [(problem.text, problem.gold) for problem in load(file(name, data))] == wanted
    assert [problem.text for problem in load(file("p.txt", "one\n\n two \n"))] == ["one", "two"]
    polars = pytest.importorskip("polars")
    table = {"problem": [f"q{i}?" for i in range(2500)], "answer": [float(i) for i in range(2499)] + [None]}
    polars.DataFrame(table).write_parquet(tmp_path / "p.parquet")
    found = load(tmp_path / "p.parquet")
    assert [(problem.text, problem.gold) for problem in found] == [(f"q{i}?", str(i) if i < 2499 else None) for i in range(2500)]
    assert "no Parquet file that can be read" in refused(file("broken.parquet", b"PAR1 and no more"))


def test_python_values_and_standard_input():
    found = load([Problem("a?", "x", "1"), "b?", {"prompt": "c?", "target": 3}])
    assert [(problem.text, problem.gold) for problem in found] == [("a?", "1"), ("b?", None), ("c?", "3")]
    assert len(found) == 3
    assert load(found) is found
    assert len(load(found, limit=2)) == 2
    for data, texts in {LINES: ["1+1?", "1/4?"], "one?\ntwo?": ["one?", "two?"], json.dumps(ROWS): ["1+1?", "1/4?"]}.items():
        found = load("-", stdin=io.BytesIO(data.encode()))
        assert [problem.text for problem in found] == [problem.text for problem in found] == texts
    assert "problems: item 2: is a int" in refused(["a?", 7])
    (first, _) = load("-", stdin=io.BytesIO(b"Question, answer me: what is 1+1?\ntext and input, please"))
    assert first.text == "Question, answer me: what is 1+1?"


def test_a_table_that_nothing_says_is_one_is_not_taken_for_problems(tmp_path):
    with pytest.raises(BadInput, match=r"standard input: begins like a table; its name must end in \.csv"):
        load("-", stdin=io.BytesIO(b'"problem","gold"\r\n1+1?,2\n'))
    (tmp_path / "p.xyz").write_text("id\tquestion\n1\t1+1?\n")
    with pytest.raises(BadInput, match="begins like a table"):
        load(tmp_path / "p.xyz")


def test_golds_options_and_columns():
    def gold(**row):
        return next(iter(load([{"question": "?", **row}]))).gold

    assert gold(answer="so 9*2 = 18.\n#### 18") == "18"
    assert gold(answer="18", solution="long") == "18"
    assert gold(answer=27.0) == "27"
    assert gold(answer=["7"]) == "7"
    assert gold(answer=None) is gold(answer=" ") is gold() is None
    assert gold(answer=2, choices=["x", "y", "z"]) == "C"
    assert gold(answer=2, choices=["1", "2", "3"]) == "2"
    (problem,) = load([{"Body": "A sum.", "Question": "What?", "choices": {"label": ["A", "B"], "text": ["x", "y"]}}])
    assert (problem.text, problem.options) == ("A sum. What?", ("x", "y"))
    (problem,) = load([{"n": 5, "q": "?", "r": "z", "s": float("nan")}], columns={"problem": "q", "gold": "r", "id": "n"})
    assert (problem.text, problem.gold, problem.id, problem.meta) == ("?", "z", "5", {"s": None})
    with pytest.raises(UnknownName, match="did you mean problem"):
        load(["?"], columns={"problm": "q"})
    assert "no column for the gold: looked for g; it has question" in refused([{"question": "?"}], columns={"gold": "g"})


BAD_LINES = {
    b'{"question": "?", "answer": NaN}': "NaN is not JSON; write null",
    b'{"question": "?", "answer": 1e999}': "the gold answer is inf, which is no number",
    b'{"question": null}': "the problem is null and must be a text",
    b'{"question": " "}': "the problem is empty",
    b'{"question": ["?"]}': "the problem is a list and must be a text",
    b'{"question": "?", "answer": {"value": 3}}': "the gold answer is an object and must be a text or a number",
    b'{"question": "\xff"}': "not UTF-8: byte 15 of the line is 0xff",
    b'{"question": "\\ud800"}': "half of a surrogate pair",
    b'{"question": "?"': "not JSON: Expecting ',' delimiter at column 17",
    b'["question"]': "a row must be an object",
    b"[" * 100_000: "nested too deeply",
    b'{"ask": "?"}': "no column for the problem",
    b'{"question": "?", "options": ["x", null]}': "one of the options is empty",
    b'{"question": "?", "id": [1]}': "the id is a list",
    b'{"question": "?", "answer": 5, "options": ["x", "y"]}': "option 5, counted from 0, of 2",
}


def test_every_bad_row_is_reported_at_once_by_line(file):
    lines = [b'{"question": "good?"}', *BAD_LINES]
    path = file("p.jsonl", b"\n".join(lines))
    message = refused(path)
    assert message.startswith(f"{path}: {len(BAD_LINES)} of {len(lines)} rows can't be used, so that none was:")
    for number, (line, reason) in enumerate(zip(message.splitlines()[1:], BAD_LINES.values(), strict=True), 2):
        assert line.startswith(f"  {path}:{number}: "), line
        assert reason in line


def test_reports_are_bounded_and_quote_little(file):
    path = file("p.jsonl", "\n".join('{"' + "x" * 5000 + '": 1}' for _ in range(5000)))
    message = refused(path)
    assert message.endswith("\n  and 4980 more")
    assert len(message) < 20_000


def test_a_huge_integer_is_kept_as_it_is(file):
    (problem,) = load(file("p.jsonl", '{"question": "?", "answer": ' + "7" * 6000 + "}"))
    assert problem.gold == "7" * 6000


def test_used_ids_are_refused_with_both_places(file):
    path = file("p.jsonl", '{"id": 1, "question": "a?"}\n{"id": 2, "question": "b?"}\n\n{"id": "1", "question": "c?"}')
    assert f"{path}:4: the id '1' was used before, at {path}:1" in refused(path)
    assert "problems: item 1" in refused(["same?", "other?", "same?"])


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("p.jsonl", "", "holds no problems"),
        ("p.json", "[]", "holds no problems"),
        ("p.json", '[\n{"question": "a?"},\n{"question": }]', ":3: not JSON"),
        ("p.json", '[{"question": "a?"}', "the list is not closed"),
        ("p.json", '[{"question": "a?"}] 7', "something follows the closing"),
        ("p.json", '[{"question": "a?"},\n\n 7]', ":3: an item must be an object"),
        ("p.json", b'[{"question":\n "\xff"}]', ":2: not UTF-8"),
        ("p.jsonl", '{"question": "a?"}'.encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("p.csv", "question,answer\na?,1,2\nb?\n", ":2: 3 cells where the header has 2 columns"),
        ("p.csv", "question,question\na?,1\n", "a repeated column name"),
        ("p.csv", 'question,answer\na?,1\n"b?,2\nc?,3\n', ":3: not CSV"),
        ("p.csv", b"question\na?\n\xff\n", ":3: not UTF-8"),
        ("p.csv", "question\n" + "x" * 200_000, ":2: not CSV: field larger than field limit"),
        ("p.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)[:-20], "breaks off or is damaged"),
        ("p.jsonl.gz", b"\x1f\x8bnot gzip at all", "is a broken gzip file"),
    ],
)
def test_whole_files_that_are_wrong(file, name, data, reason):
    assert reason in refused(file(name, data))


def test_an_endless_line_is_not_held_in_memory(file, monkeypatch):
    monkeypatch.setattr(readers, "LONGEST_LINE", 1024)
    path = file("p.jsonl", '{"question": "a?"}\n{"question": "' + "x" * 10_000)
    assert f"{path}:2: the line is longer than" in refused(path)


def test_missing_files_and_limits(tmp_path, file):
    assert "can't be read: No such file" in refused(tmp_path / "none.jsonl")
    assert "can't be read: Is a directory" in refused(tmp_path)
    path = file("p.jsonl", LINES + "broken")
    assert len(load(path, limit=2)) == 2
    assert ":3: not JSON" in refused(path, limit=3)
    assert "at least 1" in refused(path, limit=0)


def test_a_file_that_changes_after_the_check_is_noticed(file):
    path = file("p.jsonl", LINES)
    found, same = load(path), load(file("copy.jsonl", LINES.replace(": ", ":")))
    assert found.fingerprint == same.fingerprint
    path.write_text(LINES.replace("0.25", "0.26"))
    with pytest.raises(BadInput, match="changed since it was checked"):
        list(found)
    assert load(path).fingerprint != found.fingerprint


def test_hub_data_sets_by_a_fake_library(monkeypatch):
    asked = []

    def load_dataset(name, config, *, split):
        asked.append((name, config, split))
        if name == "gone/away":
            raise FileNotFoundError("no such data set\nwith a long trace")
        return iter([{"question": "a?", "answer": "#### 1"}, {"question": "b?", "answer": "#### 2"}])

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    found = load("hf:openai/gsm8k/main:train")
    assert [(problem.text, problem.gold) for problem in found] == [("a?", "1"), ("b?", "2")]
    assert len(load("hf:owner/name")) == 2
    assert set(asked) == {("openai/gsm8k", "main", "train"), ("owner/name", None, "test")}
    assert refused("hf:gone/away") == "hf:gone/away: the split test can't be had: no such data set"
    assert "is not of the form" in refused("hf:../../etc/passwd")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"outthink\[hub\]"):
        load("hf:owner/name")


BENCHMARKS = {"gsm8k_test": 1319, "math500": 500, "math100": 100, "svamp": 1000, "amc23": 40, "aime24_25": 60, "mgsm": 2750}


@pytest.mark.parametrize(("name", "count"), BENCHMARKS.items())
def test_public_benchmarks_load_without_a_word(name, count):
    found = load(shared(f"benchmarks/{name}.jsonl"))
    assert len(found) == count
    assert all(problem.gold for problem in found)
    if name in {"gsm8k_test", "svamp", "amc23", "aime24_25", "mgsm"}:
        assert all(float(problem.gold.replace(",", "")) is not None for problem in found)


def test_game_of_24_with_a_column_named():
    found = load(shared("benchmarks/game24.csv"), columns={"problem": "Puzzles", "id": "Rank"})
    assert (len(found), next(iter(found)).text) == (1362, "1 1 4 6")


def test_a_pipe_is_read_once_and_kept(tmp_path):
    def piped(data):
        path = tmp_path / "pipe"
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        writer = threading.Thread(target=path.write_bytes, args=(data,))
        writer.start()
        return path, writer

    path, writer = piped(LINES.encode())
    found = load(path)
    writer.join()
    assert [list(found), list(found)] == [WANTED, WANTED]
    assert read_once(path)
    assert not read_once(tmp_path)
    path, writer = piped(b"PAR1 and what follows")
    assert "is Parquet, which is read from a file only" in refused(path)
    writer.join()
