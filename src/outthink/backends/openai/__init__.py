"""Any server that speaks OpenAI's protocol: vLLM, SGLang, llama.cpp, Ollama, hosted ones. One attempt per call.

Retries, limits and budgets are the runtime's and must not live here. What servers differ in is data, in
`outthink.backends.engines`. Nothing of this package imports the HTTP library before a backend is opened.
"""

from outthink.backends.openai.backend import OpenAIBackend

__all__ = ["OpenAIBackend"]
