"""Durable Functions: the engine, the stores and the worker that runs one over the other."""
