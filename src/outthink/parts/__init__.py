"""Pure rules that strategies and verifiers are put together from: voting, confidence, prompts.

No I/O, chance, time or concurrency: they come from the run.
"""
