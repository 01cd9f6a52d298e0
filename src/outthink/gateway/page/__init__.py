"""The gateway's page: what is under way, what was spent, each recorded request as a picture. Its files are `report.page`'s."""

from outthink.gateway.page.routes import routes
from outthink.gateway.page.watch import Watch

__all__ = ["Watch", "routes"]
