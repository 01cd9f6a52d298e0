"""Outthink: inference-time scaling. Loads nothing heavy; names are looked up on first use."""
