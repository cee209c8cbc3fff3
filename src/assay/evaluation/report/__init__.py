"""Report: takes Evidence and the records around it, yields one self-contained HTML file that anybody can read.

`page` fills the template (`report.html`, `style.css`), `figures` draws inline SVG, `words` puts findings in sentences,
`gather` reads the records of a workspace. No script, no request to anywhere, the same bytes for the same records.
"""

from assay.evaluation.report.gather import report_from_workspace
from assay.evaluation.report.page import Dossier, write_report

__all__ = ["Dossier", "report_from_workspace", "write_report"]
