"""The thin library behind the book; each module's docstring says where it is taught."""

__version__ = "0.1.0"
