"""`func-host durable`: commands on the task hub of an app."""
