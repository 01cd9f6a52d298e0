"""The page that shows runs: its files, and the same page as one file of its own. Who serves it to whom is not known here."""

from outthink.report.page.files import HEADERS, STATIC, static
from outthink.report.page.journal import document, home, run, sample
from outthink.report.page.standalone import standalone

__all__ = ["HEADERS", "STATIC", "document", "home", "run", "sample", "standalone", "static"]
