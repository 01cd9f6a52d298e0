"""Strategies that draw independent samples and choose among them."""
