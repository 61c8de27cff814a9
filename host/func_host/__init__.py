"""func-host: a serverless host in pure Python with Durable Functions built in."""
