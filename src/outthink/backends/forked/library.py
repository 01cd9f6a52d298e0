"""The C functions of llama.cpp as xllamacpp's own module exports them: the very library that the embedded backend runs.

Only declarations and their check live here. xllamacpp shows Python llama.cpp's server, not its sequences; but its module is a
shared library that exports the C interface, `llama_memory_seq_cp` included.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
from ctypes import POINTER, c_bool, c_char_p, c_float, c_int8, c_int32, c_size_t, c_uint32, c_void_p
from typing import Any

from outthink.backends.llamacpp.engine import load_library
from outthink.core.errors import Unsupported

__all__ = ["Batch", "ContextParams", "Library", "library"]

SPARE = 512
"""Bytes behind each structure of settings: a version that has more of them writes there and not over what isn't its own."""


class ModelParams(ctypes.Structure):
    """Settings of a model; llama.cpp's defaults are used as they come."""

    _fields_ = (("opaque", ctypes.c_char * SPARE),)


class ContextParams(ctypes.Structure):
    """Settings of a context (llama.h, struct llama_context_params)."""

    _fields_ = (
        *((name, c_uint32) for name in ("n_ctx", "n_batch", "n_ubatch", "n_seq_max", "n_rs_seq")),
        *((name, c_uint32) for name in ("n_outputs_max", "n_outputs_max_per_seq")),
        *((name, c_int32) for name in ("n_threads", "n_threads_batch", "ctx_type", "rope_scaling_type")),
        *((name, c_int32) for name in ("pooling_type", "attention_type", "flash_attn_type")),
        *((name, c_float) for name in ("rope_freq_base", "rope_freq_scale", "yarn_ext_factor", "yarn_attn_factor")),
        *((name, c_float) for name in ("yarn_beta_fast", "yarn_beta_slow")),
        ("yarn_orig_ctx", c_uint32),
        ("defrag_thold", c_float),
        ("cb_eval", c_void_p),
        ("cb_eval_user_data", c_void_p),
        ("type_k", c_int32),
        ("type_v", c_int32),
        ("moe_cache_size", c_size_t),
        ("abort_callback", c_void_p),
        ("abort_callback_data", c_void_p),
        *((name, c_bool) for name in ("embeddings", "offload_kqv", "no_perf", "op_offload", "swa_full", "kv_unified")),
        ("samplers", c_void_p),
        ("n_samplers", c_size_t),
        ("ctx_other", c_void_p),
        ("spare", ctypes.c_char * SPARE),
    )


class Batch(ctypes.Structure):
    """Tokens to compute at once (llama.h, struct llama_batch)."""

    _fields_ = (
        ("n_tokens", c_int32),
        ("token", POINTER(c_int32)),
        ("embd", c_void_p),
        ("pos", POINTER(c_int32)),
        ("n_seq_id", POINTER(c_int32)),
        ("seq_id", POINTER(POINTER(c_int32))),
        ("logits", POINTER(c_int8)),
    )


LOG = ctypes.CFUNCTYPE(None, c_int32, c_char_p, c_void_p)
_FUNCTIONS: dict[str, tuple[Any, ...]] = {  # name: what it returns, what it takes
    "log_get": (None, POINTER(c_void_p), POINTER(c_void_p)),
    "log_set": (None, c_void_p, c_void_p),
    "backend_init": (None,),
    "model_default_params": (ModelParams,),
    "model_load_from_file": (c_void_p, c_char_p, ModelParams),
    "model_free": (None, c_void_p),
    "model_get_vocab": (c_void_p, c_void_p),
    "model_chat_template": (c_char_p, c_void_p, c_char_p),
    "model_has_encoder": (c_bool, c_void_p),
    "model_is_recurrent": (c_bool, c_void_p),
    "model_is_hybrid": (c_bool, c_void_p),
    "model_is_diffusion": (c_bool, c_void_p),
    "context_default_params": (ContextParams,),
    "init_from_model": (c_void_p, c_void_p, ContextParams),
    "free": (None, c_void_p),
    "n_ctx": (c_uint32, c_void_p),
    "n_ctx_seq": (c_uint32, c_void_p),
    "n_seq_max": (c_uint32, c_void_p),
    "get_memory": (c_void_p, c_void_p),
    "memory_clear": (None, c_void_p, c_bool),
    "memory_seq_cp": (None, c_void_p, c_int32, c_int32, c_int32, c_int32),
    "memory_seq_rm": (c_bool, c_void_p, c_int32, c_int32, c_int32),
    "memory_seq_pos_max": (c_int32, c_void_p, c_int32),
    "batch_init": (Batch, c_int32, c_int32, c_int32),
    "batch_free": (None, Batch),
    "decode": (c_int32, c_void_p, Batch),
    "get_logits": (POINTER(c_float), c_void_p),
    "tokenize": (c_int32, c_void_p, c_char_p, c_int32, POINTER(c_int32), c_int32, c_bool, c_bool),
    "token_to_piece": (c_int32, c_void_p, c_int32, c_char_p, c_int32, c_int32, c_bool),
    "vocab_n_tokens": (c_int32, c_void_p),
    "vocab_is_eog": (c_bool, c_void_p, c_int32),
    "vocab_bos": (c_int32, c_void_p),
    "vocab_eos": (c_int32, c_void_p),
    "vocab_get_add_bos": (c_bool, c_void_p),
}
_DEFAULTS = {  # of llama.cpp, from the first field to the last that is used: where they differ, so does the layout
    "n_ctx": 512, "n_batch": 2048, "n_ubatch": 512, "n_seq_max": 1, "rope_scaling_type": -1, "flash_attn_type": -1,
    "yarn_ext_factor": -1.0, "type_k": 1, "type_v": 1, "embeddings": False, "offload_kqv": True, "no_perf": True,
    "op_offload": True, "swa_full": True, "kv_unified": False, "samplers": None, "n_samplers": 0,
}  # fmt: skip


class Library:
    """llama.cpp's functions without their prefix: `library().decode(...)`. Raises Unsupported for a build without them."""

    def __init__(self, path: str) -> None:
        loaded = ctypes.CDLL(path)
        for name, (gives, *takes) in _FUNCTIONS.items():
            try:
                function = getattr(loaded, f"llama_{name}")
            except AttributeError:
                raise _unsupported(f"doesn't export llama_{name}") from None
            function.restype, function.argtypes = gives, takes
            setattr(self, name, function)
        params = self.context_default_params()
        for name, value in _DEFAULTS.items():
            if getattr(params, name) != value:
                raise _unsupported(f"lays out its settings in another way ({name} reads {getattr(params, name)!r})")
        self.backend_init()

    def __getattr__(self, name: str) -> Any:  # what `__init__` sets; for what it doesn't, the usual error
        raise AttributeError(f"llama.cpp has no function {name!r} here")


@functools.cache
def library() -> Library:
    """Raises MissingExtra without xllamacpp, Unsupported where its build can't be used this way."""
    load_library()
    return Library(str(importlib.import_module("xllamacpp.xllamacpp").__file__))


def _unsupported(what: str) -> Unsupported:
    return Unsupported(
        f"forked sequences need llama.cpp's C interface, and this build of xllamacpp {what}; the embedded backend needs none"
    )
