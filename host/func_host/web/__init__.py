"""The HTTP side of the host: user functions, management webhooks and admin, over Starlette."""
