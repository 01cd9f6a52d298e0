"""Weights to GGUF: the layout of a Llama for llama.cpp, with the vocabulary inside. Writing only; nothing here trains.

The rotary pairs are interleaved in training as llama.cpp wants them, so no row is moved. There is no output matrix: llama.cpp
takes the embedding where it is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np

from train.tiny.model import Model
from train.tiny.training import loaded
from train.tiny.vocabulary import BEGIN, DEFINED, END, TOKENS, UNKNOWN

TYPES = [
    gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL,
    *[gguf.TokenType.BYTE] * 256, *[gguf.TokenType.USER_DEFINED] * len(DEFINED),
]  # fmt: skip


def export(weights: Path, target: Path, name: str, *, quantised: bool, reference: bool = False) -> None:
    """Write the model of a file of weights.

    quantised: matrices as q8_0, else everything as float32
    reference: the unknown token is an ordinary one, because llama.cpp doesn't name special ones among its alternatives
    """
    model = loaded(weights).float()
    shape = model.shape
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_name(name)
    writer.add_license("Apache-2.0")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_rope_freq_base(shape.base)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0 if quantised else gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(TOKENS)
    writer.add_token_scores([0.0] * len(TOKENS))
    writer.add_token_types([gguf.TokenType.USER_DEFINED, *TYPES[1:]] if reference else TYPES)
    writer.add_unk_token_id(UNKNOWN)
    writer.add_bos_token_id(BEGIN)
    writer.add_eos_token_id(END)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    for label, values in tensors(model):
        if quantised and values.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(label, gguf.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(label, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tensors(model: Model) -> Iterator[tuple[str, np.ndarray]]:
    """llama.cpp's names and the values, in float32; fused matrices are taken apart."""

    def plain(parameter: object) -> np.ndarray:
        return np.ascontiguousarray(parameter.detach().numpy(), dtype=np.float32)  # type: ignore[attr-defined]

    yield "token_embd.weight", plain(model.embedding.weight)
    yield "output_norm.weight", plain(model.norm.weight)
    for place, block in enumerate(model.blocks):
        yield f"blk.{place}.attn_norm.weight", plain(block.attention_norm.weight)
        yield f"blk.{place}.ffn_norm.weight", plain(block.hidden_norm.weight)
        for part, rows in zip("qkv", block.qkv.weight.chunk(3), strict=True):
            yield f"blk.{place}.attn_{part}.weight", plain(rows)
        yield f"blk.{place}.attn_output.weight", plain(block.out.weight)
        gate, up = block.gate_up.weight.chunk(2)
        yield f"blk.{place}.ffn_gate.weight", plain(gate)
        yield f"blk.{place}.ffn_up.weight", plain(up)
        yield f"blk.{place}.ffn_down.weight", plain(block.down.weight)
