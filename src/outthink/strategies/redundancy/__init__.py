"""Strategies that spend less on samples which say what others say, or which a cheaper model can write."""
