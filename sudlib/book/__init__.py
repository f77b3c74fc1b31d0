"""What makes a notebook a page of the book: runs, claims, figures, freshness.

The modules are loaded when one of their names is first used, so that asking whether a
page is fresh loads neither pandas nor matplotlib.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sudlib.book import figures, freshness
    from sudlib.book.arithmetic import (
        attainable,
        can_be_equal,
        from_matrix,
        shares_of_classes,
        split_sizes,
    )
    from sudlib.book.claims import compare, count_verdicts
    from sudlib.book.claims_html import badge, explorer, page_table, show
    from sudlib.book.claims_text import describe, our_text, paper_text
    from sudlib.book.consistency import COMPAS, check_printed
    from sudlib.book.parameters import (
        ARMS,
        Parameter,
        check_parameters,
        declared_parameters,
    )
    from sudlib.book.printed import STUDIES, published
    from sudlib.book.prose import direction
    from sudlib.book.provenance import device, git_commit, versions
    from sudlib.book.recorded import at_full_size, recorded_result, with_recorded
    from sudlib.book.results import (
        ROOT,
        finished_results,
        read_result,
        read_results,
    )
    from sudlib.book.run import Run, start
    from sudlib.book.verdicts import (
        ENOUGH_ROWS,
        FOUR_CELLS,
        VERDICTS,
        compare_matrices,
        judge,
        tolerance,
    )

__all__ = [
    "ARMS",
    "COMPAS",
    "ENOUGH_ROWS",
    "FOUR_CELLS",
    "Parameter",
    "ROOT",
    "Run",
    "STUDIES",
    "VERDICTS",
    "at_full_size",
    "attainable",
    "badge",
    "can_be_equal",
    "check_parameters",
    "check_printed",
    "compare",
    "compare_matrices",
    "count_verdicts",
    "declared_parameters",
    "describe",
    "device",
    "direction",
    "explorer",
    "figures",
    "finished_results",
    "freshness",
    "from_matrix",
    "git_commit",
    "judge",
    "our_text",
    "page_table",
    "paper_text",
    "published",
    "read_result",
    "read_results",
    "recorded_result",
    "shares_of_classes",
    "show",
    "split_sizes",
    "start",
    "tolerance",
    "versions",
    "with_recorded",
]


def __getattr__(name: str) -> Any:
    """Return a public name from the module that the imports above give it."""
    if name in __all__:
        from sudlib.book.freshness import Library

        module, attributes = Library().locate(f"sudlib.book:{name}")
        found = import_module(module)
        globals()[name] = getattr(found, attributes[0]) if attributes else found
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
