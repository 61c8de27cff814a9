"""Orchestrations on Azure Storage, in the layout of DurableTask.AzureStorage."""
