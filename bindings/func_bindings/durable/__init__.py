"""Durable Functions: orchestrators, activities and the client, as an app sees them."""
