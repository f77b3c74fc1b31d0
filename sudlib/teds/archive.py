"""Many years of records in one folder, of which only what is asked for is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as arrow_dataset
from pyarrow import parquet

from sudlib.files import InputError, expand_path
from sudlib.origin import IS_SYNTHETIC, joint_origin, label, origin_of
from sudlib.teds import codebook, gate
from sudlib.teds.codebook import MISSING
from sudlib.teds.writer import whole_file
from sudlib.validation import check_choice, check_whole, numbers

Codes = int | Sequence[int]

_OFFICIAL = pa.schema(
    (name, pa.from_numpy_dtype(np.dtype(codebook.dtype(name))))
    for name in codebook.COLUMNS
)
_BY_YEAR = arrow_dataset.partitioning(pa.schema([("DISYR", pa.int16())]), flavor="hive")
_ORIGIN = b"sudlib.origin"


class Archive:
    """Records of several years as parquet files, one folder a year.

    A question names a few columns and some codes; only these columns are read, and
    only of the years it is about.  All of 2015 to 2019, some eight million records of
    76 columns, need 150 MB on disk, and a count by year and state takes a second.

    Parameters
    ----------
    folder : str or path
        Where the years are kept; made by the first :meth:`add`.

    Notes
    -----
    An archive is a working copy.  Its records are *synthetic*, a *mixture* or
    *unverified*, never *real*: that needs the agency's own file (see
    :data:`sudlib.origin.ORIGINS`).

    Taught in ``a11_all_years_at_once``.

    Examples
    --------
    >>> import tempfile
    >>> from sudlib import teds, twin
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     archive = teds.Archive(folder)
    ...     archive.add(twin.sample(2018, rows=300))
    ...     archive.add(twin.sample(2019, rows=200))
    ...     archive.count(["DISYR"]).to_dict("list")
    {'DISYR': [2018, 2019], 'records': [300, 200]}
    """

    def __init__(self, folder: str | PathLike[str]) -> None:
        self.folder = expand_path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"an archive is a folder; {str(self.folder)!r} is a file")

    @property
    def files(self) -> dict[int, Path]:
        """The file of each year that is kept, in the order of the years."""
        found = self.folder.glob("DISYR=20[0-9][0-9]/records.parquet")
        return dict(sorted((int(path.parent.name[6:]), path) for path in found))

    @property
    def origin(self) -> str:
        """Where the records come from: synthetic, mixture or unverified."""
        said = []
        for path in self._needed().values():
            metadata = _schema(path).metadata or {}
            origin = metadata.get(_ORIGIN, b"").decode()
            said.append(origin if origin in IS_SYNTHETIC else "unverified")
        origin = joint_origin(said)
        return "unverified" if origin == "real" else origin

    def add(self, records: pd.DataFrame) -> None:
        """Keep the records of the years in a frame, in place of what was kept of them.

        Parameters
        ----------
        records : pandas.DataFrame
            Of :func:`sudlib.teds.read` or the twin: DISYR and integer codes.

        Raises
        ------
        InputError
            If DISYR is not there, a column is not known, or a cell is no code.
        """
        records = gate.official_codes(records, ["DISYR"], who="an archive")
        self._check_columns(records.columns)
        check_whole("the number of records", len(records), 1)
        origin = origin_of(records).encode()
        kinds = {n: codebook.dtype(n) for n in records}  # one type in all years
        for year, of_year in records.astype(kinds).groupby("DISYR"):
            folder = self.folder / f"DISYR={codebook.check_year(year)}"
            folder.mkdir(parents=True, exist_ok=True)
            columns = of_year.drop(columns="DISYR")
            table = pa.Table.from_pandas(columns, preserve_index=False)
            table = table.replace_schema_metadata({_ORIGIN: origin})
            with whole_file(folder / "records.parquet") as part:
                parquet.write_table(table, part, compression="zstd")

    def count(
        self, by: Iterable[str] | str, where: Mapping[str, Codes] | None = None
    ) -> pd.DataFrame:
        """Return how many records have each combination of codes.

        Parameters
        ----------
        by : list of str
            Columns, DISYR among them if the years are to be told apart.
        where : mapping of str to code or codes, optional
            Only records with these codes: ``{"SERVICES": (6, 7, 8), "METHUSE": 2}``.

        Returns
        -------
        pandas.DataFrame
            The columns ``by``, sorted, and ``records``.

        Raises
        ------
        InputError
            If a column is not known or not there, or nothing is kept.
        """
        by = codebook.known_names(by)
        table = self._table(by, where)
        counts = table.group_by(by).aggregate([([], "count_all")]).to_pandas()
        counts = counts.rename(columns={"count_all": "records"})[[*by, "records"]]
        return counts.sort_values(by, ignore_index=True)

    def read(
        self, columns: Iterable[str], where: Mapping[str, Codes] | None = None
    ) -> pd.DataFrame:
        """Return some columns of the records that fit.

        Parameters
        ----------
        columns : list of str
        where : mapping of str to code or codes, optional
            As in :meth:`count`.

        Returns
        -------
        pandas.DataFrame
            Year by year, with ``attrs`` as :func:`sudlib.teds.read` gives.

        Raises
        ------
        InputError
            As for :meth:`count`.
        """
        columns = codebook.known_names(columns)
        years = map(int, np.ravel((where or {}).get("DISYR", list(self.files))))
        frame = self._table(columns, where).to_pandas()
        name, origin = self.folder.name, self.origin
        frame.attrs = label(name, len(frame), years=sorted(years), origin=origin)
        return frame

    def _table(self, columns: list[str], where: Mapping[str, Codes] | None) -> pa.Table:
        """Return columns of records that fit; -9 where a year lacks a column."""
        where, files = {} if where is None else where, self._needed()
        if not isinstance(where, Mapping):
            raise InputError(f"where must map columns to codes, not be {where!r}")
        self._check_columns([*columns, *where])
        schemas = [_schema(path) for path in files.values()]
        schema = pa.unify_schemas([*schemas, _BY_YEAR.schema]).remove_metadata()
        absent = {*columns, *where} - {*schema.names}
        if absent:
            raise InputError(
                f"the archive has no column {', '.join(sorted(absent))}; it has"
                f" {', '.join(schema.names)}"
            )
        wanted = []
        for name, codes in where.items():
            try:
                numbers(name, asked := np.ma.ravel(codes))  # or raise: no text, no gap
                listed = gate.official_codes(pd.DataFrame({name: asked}))[name]
                for year in listed if name == "DISYR" else ():
                    check_choice("the year", year, files)
                codes_of = pa.array(listed, schema.field(name).type)
            except (InputError, pa.ArrowInvalid) as error:
                raise InputError(
                    f"{name} is asked for by its codes, such as"
                    f" {gate.spell(name, list(files))}, not {codes!r}: {error}"
                ) from error
            wanted.append((name, "in", codes_of))
        how = {"schema": schema, "partitioning": _BY_YEAR, "filters": wanted or None}
        table = parquet.read_table([*files.values()], columns=columns, **how)
        filled = [column.fill_null(MISSING) for column in table.columns]
        return pa.table(filled, names=table.column_names)

    def _needed(self) -> dict[int, Path]:
        if not self.files:
            raise InputError(
                f"{str(self.folder)!r} keeps no year yet: add(records) keeps the years"
                " of a frame"
            )
        return self.files

    def _check_columns(self, names: Iterable[str]) -> None:
        unknown = sorted({str(name) for name in names} - {*codebook.COLUMNS, "NUMSUBS"})
        if unknown:
            raise InputError(
                f"{', '.join(unknown)} is no column of the schema; its columns are"
                f" {', '.join(codebook.COLUMNS)}"
            )


def _schema(path: Path) -> pa.Schema:
    """Return the columns of a year's file, or say that it is damaged or of others."""
    try:
        schema = parquet.read_schema(path)
        pa.unify_schemas([_OFFICIAL, schema])  # raises where types differ
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"{str(path)!r} is not a whole parquet file ({error}): add its year again"
        ) from error
    except pa.ArrowTypeError as error:
        raise InputError(
            f"{str(path)!r} was not written by an archive ({error}): add its year again"
        ) from error
    return schema
