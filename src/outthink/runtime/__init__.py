"""The interpreter that steps strategies and answers their operations: scheduler, ledger, journal, limiters, clocks.

asyncio lives here. Strategies, parts and backends are never imported from here: they arrive as values.
"""
