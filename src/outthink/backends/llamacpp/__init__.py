"""llama.cpp in this process: the embedded model, any GGUF file, no server to start.

`engine` holds the model, its slot threads and its inner pages; `wire` the requests and replies of llama.cpp's server core, pure;
`backend` makes one attempt per call.
"""

from outthink.backends.llamacpp.backend import LlamaCppBackend

__all__ = ["LlamaCppBackend"]
