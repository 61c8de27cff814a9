"""The engine: pure functions of values, without clock, I/O, chance, loop or log.

`replay` runs an orchestrator over its history and yields actions; `state` folds a history into what
is open; `commit` turns actions into one commit.
"""
