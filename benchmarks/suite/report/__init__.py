"""The report: one page that needs nothing beside it."""

from suite.report.page import write_report

__all__ = ["write_report"]
