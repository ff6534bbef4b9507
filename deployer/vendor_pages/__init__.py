"""The vendor's reference pages, compared with the parameter tables."""

from deployer.vendor_pages.compare import Difference, compare, tables_of
from deployer.vendor_pages.read import Page, PageError, as_table, load_page, read_page

__all__ = ["Difference", "Page", "PageError", "as_table", "compare", "load_page", "read_page", "tables_of"]
