"""Public reports about other programs, each with the film that it is about."""

from __future__ import annotations

from field.reports import compressed, elements, files, headers, pictures

#: About files; those about connections are in `field.reports.network`.
REPORTS = (
    *elements.REPORTS,
    *files.REPORTS,
    *pictures.REPORTS,
    *compressed.REPORTS,
    *headers.REPORTS,
)
