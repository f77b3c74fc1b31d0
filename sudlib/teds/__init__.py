"""The Treatment Episode Data Set: codebook, files, cohorts."""

from sudlib.teds import codebook, cohorts
from sudlib.teds.agency_files import cache_folder, fetch
from sudlib.teds.archive import Archive
from sudlib.teds.gate import official_codes
from sudlib.teds.narration import read_aloud
from sudlib.teds.reader import is_discharges, read
from sudlib.teds.registry import PAGE, Download, read_registry
from sudlib.teds.writer import write

__all__ = [
    "Archive",
    "Download",
    "PAGE",
    "cache_folder",
    "codebook",
    "cohorts",
    "fetch",
    "is_discharges",
    "official_codes",
    "read",
    "read_aloud",
    "read_registry",
    "write",
]
