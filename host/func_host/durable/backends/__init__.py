"""The stores, each an implementation of `func_host.durable.backend.Backend`."""
