"""`func-host durable dead-letters`: a module per command."""
