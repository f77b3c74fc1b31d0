"""A Sphinx extension: read and write the pages on all cores.

Sphinx can, and Jupyter Book's command line has no word for it.
"""

import os
from typing import Any

VARIABLE = "SUDLIB_SITE_JOBS"

#: Extensions of Jupyter Book that do not say whether they are safe.  One numbers the
#: chapters once all pages are read; the other does nothing but for LaTeX.
SILENT = ("sphinx_multitoc_numbering", "sphinx_jupyterbook_latex")


def declare_safe(app: Any, env: Any, names: list[str]) -> None:
    """Say for some extensions what they leave unsaid."""
    for name in SILENT:
        if name in app.extensions:
            app.extensions[name].parallel_read_safe = True


def setup(app: Any) -> dict[str, bool]:
    """Let Sphinx work with as many processes as ``workflow/build_site.py`` says."""
    app.parallel = int(os.environ.get(VARIABLE, "1"))
    app.connect("env-before-read-docs", declare_safe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
