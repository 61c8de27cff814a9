"""The HTTP side of the host: user functions, management webhooks and admin, over Starlette."""

from func_host.web.app import create_app
from func_host.web.routes import check_route
from func_host.web.settings import WebSettings

__all__ = ["WebSettings", "check_route", "create_app"]
