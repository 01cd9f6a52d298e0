"""Strategies that sample whole answers from a law which a verifier bends, with populations of traces (sequential Monte Carlo)."""
