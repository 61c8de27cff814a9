"""func-host: a serverless host in pure Python with Durable Functions built in."""

__version__ = "0.1.0"
