"""The vocabulary of Outthink: values, operations, budgets, keys and the strategy-facing `Run`.

Standard library only, no I/O, no clock, no asyncio, no global randomness. Everything else builds on this package and
nothing here may know the rest.
"""
