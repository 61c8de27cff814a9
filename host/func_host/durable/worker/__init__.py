"""The worker: fetch, run, commit. The only loop of the durable part that does I/O."""
