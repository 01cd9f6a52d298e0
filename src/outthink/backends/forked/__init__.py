"""Samples that share what they have in common: one llama.cpp context whose sequences are forked, token by token.

`library` holds the C functions, `context` a model with its cells, `trie` who holds which token, pure, `sampling` draws tokens,
`growth` is one sample on its way, `memory` what it holds and must compute next, `decoder` the thread that does it all,
`template` writes chats, and `backend` makes one attempt per call.
"""

from outthink.backends.forked.backend import ForkedBackend

__all__ = ["ForkedBackend"]
