"""Strategies that search over the steps of an answer, guided by a verifier that scores answers so far."""
