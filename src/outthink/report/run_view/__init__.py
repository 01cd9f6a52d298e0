"""One run as plain JSON, read from its journal: what a page needs to show why an answer was chosen. Drawing is the page's."""

from outthink.report.run_view.reading import listed
from outthink.report.run_view.view import sample_text, view

__all__ = ["listed", "sample_text", "view"]
