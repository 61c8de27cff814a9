"""`func-host durable entities`: a module per command."""
