"""A figure that any notebook shows, and its file: all of it or none. What is drawn on it is not decided here."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from outthink.core.errors import BadInput, MissingExtra
from outthink.evaluation.write import replacing

try:
    from matplotlib.figure import Figure
except ImportError:
    raise MissingExtra("a plot", "evaluate") from None

KINDS = ("png", "svg", "pdf")


class Picture(Figure):
    """A matplotlib figure that shows itself where pyplot was never imported, and so nothing else would show it."""

    def write(self, path: str | Path) -> Path:
        """Write a file of the kind that its name ends with. Where that fails, a file that was there stays as it was.

        Raises BadInput for another ending, and where it can't be written.
        """
        path = Path(path)
        kind = path.suffix.lower().removeprefix(".")
        if kind not in KINDS:
            raise BadInput("can't be written: its name must end with .png, .svg or .pdf", where=f"plot {path}")
        with replacing(path, f"plot {path}") as part:
            self.savefig(part, format=kind, dpi=200)
        return path

    def _repr_png_(self) -> bytes:
        out = BytesIO()
        self.savefig(out, format="png")
        return out.getvalue()
