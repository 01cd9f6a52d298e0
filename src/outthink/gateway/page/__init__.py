"""The gateway's page: what is under way, what was spent, each recorded request as a picture. Its files are `report.page`'s."""

from outthink.gateway.page.routes import add_page

__all__ = ["add_page"]
