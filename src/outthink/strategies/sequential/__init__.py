"""Strategies that build each sample on the ones before it."""
