"""A model and one memory of cells that its sequences share, behind calls that can't abort the process.

Which sequence holds what, and when it is computed, must not live here.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from outthink.backends.forked.library import LOG, library
from outthink.core.errors import BadInput, InternalError, Lost, Permanent, Unsupported

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BATCH", "Context", "Entry"]

BATCH = 512
"""Most tokens that are computed in one go, which nothing can interrupt."""
SEQUENCES = 256
"""Most that llama.cpp has (LLAMA_MAX_SEQ)."""
FLOAT32, DISABLED = 0, 0  # GGML_TYPE_F32, LLAMA_FLASH_ATTN_TYPE_DISABLED


class Entry(NamedTuple):
    """A token to compute, once for all sequences that hold it. wanted: with its logits."""

    token: int
    position: int
    holders: Iterable[int]
    wanted: bool


class Context:
    """A loaded model; loading blocks. Not for two threads at once, except `tokens` and `piece`.

    cells:   tokens that fit into its memory, shared by all sequences
    threads: that compute
    precise: keep keys and values in float32 and compute attention plainly: slower, the more so the more cells are held, but then
             what is computed together changes little more than the last bits
    unified: one memory for all; False gives each sequence its own, where only whole sequences can be copied
    sequences: how many there may be, numbered from 0

    Raises BadInput where the file can't be loaded, MissingExtra, Unsupported for a model or library that can't fork.
    """

    def __init__(
        self, path: Path, *, cells: int, threads: int, precise: bool = False, sequences: int = SEQUENCES, unified: bool = True
    ) -> None:
        import numpy

        self._numpy, self._library = numpy, library()
        self.sequences = sequences
        self._context = self._model = None
        with _quiet():
            self._model = self._library.model_load_from_file(str(path).encode(), self._library.model_default_params())
            if not self._model:
                raise BadInput(
                    "llama.cpp can't load this model: the file is damaged, or its architecture unknown", where=str(path)
                )
            self._refuse_unforkable(path)
            params = self._library.context_default_params()
            params.n_ctx, params.n_seq_max, params.kv_unified = cells, self.sequences, unified
            params.n_batch = params.n_ubatch = BATCH
            params.n_threads = params.n_threads_batch = threads
            if precise:
                params.type_k, params.type_v, params.flash_attn_type = FLOAT32, FLOAT32, DISABLED
            self._context = self._library.init_from_model(self._model, params)
        if not self._context:
            self.close()
            raise BadInput(f"llama.cpp can't make a memory of {cells} tokens for it: memory is short", where=str(path))
        self._memory = self._library.get_memory(self._context)
        self._vocab = self._library.model_get_vocab(self._model)
        self._batch = self._library.batch_init(BATCH, 0, self.sequences)
        self.vocabulary = int(self._library.vocab_n_tokens(self._vocab))
        self.cells = int(self._library.n_ctx(self._context))
        # Read back, not believed: in a memory of separate parts a partial copy would abort the process.
        self.unified = self.cells == int(self._library.n_ctx_seq(self._context)) and self.sequences > 1
        if unified and self.sequences > 1:
            self._probe(path)

    def close(self) -> None:
        """Free everything; closing twice changes nothing."""
        with _quiet():
            if self._context:
                self._library.batch_free(self._batch)
                self._library.free(self._context)
            if self._model:
                self._library.model_free(self._model)
        self._context = self._model = None

    def tokens(self, text: str) -> list[int]:
        """The model's tokens of a whole prompt. Raises Permanent for text that isn't Unicode."""
        try:
            plain = text.encode()
        except UnicodeEncodeError:
            raise Permanent(
                "the prompt or a stop string holds half a character (a lone surrogate), which no model can read"
            ) from None
        room = len(plain) + 8
        for _ in range(2):
            found = (ctypes.c_int32 * room)()
            count = self._library.tokenize(self._vocab, plain, len(plain), found, room, True, True)
            if count >= 0:
                return list(found[:count])
            room = -count
        raise InternalError("llama.cpp asked for more room for its tokens twice")

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """A token's text; that of a control token is empty unless `special`."""
        room = 64
        for _ in range(2):
            found = ctypes.create_string_buffer(room)
            count = self._library.token_to_piece(self._vocab, token, found, room, 0, special)
            if count >= 0:
                return found.raw[:count]
            room = -count
        raise InternalError("llama.cpp asked for more room for a token's text twice")

    def is_end(self, token: int) -> bool:
        """Whether it ends a sample."""
        return bool(self._library.vocab_is_eog(self._vocab, token))

    def marks(self) -> dict[str, str]:
        """The texts of the beginning and the end token, as chat templates name them."""
        found = {"bos_token": self._library.vocab_bos(self._vocab), "eos_token": self._library.vocab_eos(self._vocab)}
        return {
            name: self.piece(token, special=True).decode(errors="replace") if token >= 0 else "" for name, token in found.items()
        }

    def adds_beginning(self) -> bool:
        """Whether `tokens` puts the beginning token first."""
        return bool(self._library.vocab_get_add_bos(self._vocab))

    def chat_template(self) -> str | None:
        """The model's own, or None."""
        found = self._library.model_chat_template(self._model, None)
        return found.decode(errors="replace") if found else None

    def decode(self, entries: Sequence[Entry]) -> NDArray[np.float32]:
        """Compute these tokens, parents before children; at most BATCH. Every holder of a token must hold all tokens before it.

        Returns (wanted entries, vocabulary) logits in order, gone with the next call. Raises Lost where the engine fails.
        """
        if not 0 < len(entries) <= BATCH:
            raise InternalError(f"{len(entries)} tokens can't be computed at once: 1 to {BATCH} can")
        batch = self._batch
        batch.n_tokens = len(entries)
        token, position, count, holders, wanted = batch.token, batch.pos, batch.n_seq_id, batch.seq_id, batch.logits
        for at, entry in enumerate(entries):
            token[at], position[at], wanted[at] = entry.token, entry.position, entry.wanted
            row, number = holders[at], 0
            for number, holder in enumerate(entry.holders, 1):  # its last value is their count
                row[number - 1] = holder
            count[at] = number
        code = self._library.decode(self._context, batch)
        if code:
            why = "its memory is full" if code == 1 else f"code {code}"
            raise Lost(f"llama.cpp could not compute {len(entries)} tokens: {why}")
        rows = sum(entry.wanted for entry in entries)
        if not rows:
            return self._numpy.empty((0, self.vocabulary), self._numpy.float32)
        return self._numpy.ctypeslib.as_array(self._library.get_logits(self._context), (rows, self.vocabulary))

    def fork(self, source: int, target: int, start: int, end: int) -> None:
        """`target` holds the tokens at the positions [start, end) of `source` too: no token is computed, no memory moved.

        Raises Unsupported where memory isn't shared: llama.cpp would abort the process.
        """
        self._known(source)
        self._known(target)
        if not self.unified and (start > 0 or end < self.end(source)):
            raise Unsupported("a part of a sequence can be forked only where all sequences share one memory (unified=True)")
        self._library.memory_seq_cp(self._memory, source, target, start, end)

    def trim(self, sequence: int, start: int) -> None:
        """A sequence lets go of its tokens from a position on; cells that nobody holds are free."""
        self._known(sequence)
        if not self._library.memory_seq_rm(self._memory, sequence, start, -1):
            raise Unsupported("this model's memory can't be cut back to an earlier token")

    def clear(self) -> None:
        """Every sequence lets go of everything."""
        self._library.memory_clear(self._memory, False)

    def end(self, sequence: int) -> int:
        """The position behind a sequence's last token: its length."""
        self._known(sequence)
        return int(self._library.memory_seq_pos_max(self._memory, sequence)) + 1

    def _known(self, sequence: int) -> None:
        if not 0 <= sequence < self.sequences:
            raise InternalError(f"there is no sequence {sequence}: they are numbered from 0 to {self.sequences - 1}")

    def _refuse_unforkable(self, path: Path) -> None:
        model = self._library
        kinds = {"recurrent": model.model_is_recurrent, "hybrid": model.model_is_hybrid, "diffusion": model.model_is_diffusion,
                 "encoder-decoder": model.model_has_encoder}  # fmt: skip
        for kind, is_it in kinds.items():
            if is_it(self._model):
                self.close()
                raise Unsupported(f"{path.name} is a {kind} model, which can't be forked at any token; use the embedded backend")

    def _probe(self, path: Path) -> None:
        """Raise Unsupported unless a part of a sequence can really be forked, and cut back."""
        if self.unified:
            try:
                self.decode([Entry(0, position, (0,), position == 1) for position in range(2)])
                self.fork(0, 1, 0, 1)
                self.decode([Entry(0, 1, (1,), True)])
                self.trim(0, 1)
                if (self.end(0), self.end(1)) == (1, 2):
                    return
            except (Lost, Unsupported):
                pass
            finally:
                self.clear()
        self.close()
        raise Unsupported(f"llama.cpp can't fork the sequences of {path.name}; use the embedded backend")


_SILENT = LOG(lambda level, text, data: None)
"""Takes llama.cpp's messages while loading and closing; what fails is raised."""


@contextmanager
def _quiet() -> Iterator[None]:
    """No messages of llama.cpp for as long as the block runs."""
    before, data = ctypes.c_void_p(), ctypes.c_void_p()
    library().log_get(ctypes.byref(before), ctypes.byref(data))
    library().log_set(_SILENT, None)
    try:
        yield
    finally:
        library().log_set(before, data)
