"""Orchestrations on Azure Storage: queues, tables and blobs as DurableTask.AzureStorage has them."""
