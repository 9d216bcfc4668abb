"""The table of a curated data set: `shots.parquet`, a row for every shot that was measured, a column for every score.

`dropped` says why a shot fell (empty: it stays), `duplicate_of` which one it repeats.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any

from ...atomic import written_whole
from ...errors import DiffilmError
from .row import Row

NAME = "shots.parquet"
BATCH = 512
DERIVED = ("frames", "seconds", "side")
DECIDED = ("dropped", "duplicate_of")


def need_libraries() -> None:
    """Raises DiffilmError where what curation measures and writes with is not installed."""
    try:
        import imagehash  # noqa: F401
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise DiffilmError(f"curation needs {error.name}: pip install 'diffilm[train]'") from error


def schema(metadata: dict[str, Any]) -> Any:
    import pyarrow as pa

    kinds = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bytes": pa.binary()}
    columns = []
    for each in fields(Row):
        name = str(each.type).removesuffix(" | None")
        columns.append(pa.field(each.name, pa.list_(pa.uint64()) if name == "list[int]" else kinds[name]))
    derived = [pa.field("frames", pa.int64()), pa.field("seconds", pa.float64()), pa.field("side", pa.int64())]
    decided = [pa.field("dropped", pa.list_(pa.string())), pa.field("duplicate_of", pa.string())]
    return pa.schema([*columns, *derived, *decided], {key: json.dumps(value) for key, value in metadata.items()})


class TableWriter:
    """Rows to a Parquet file, some hundred in memory at a time; the file appears whole, at the end."""

    def __init__(self, dataset: Path, metadata: dict[str, Any]) -> None:
        self.whole = written_whole(dataset / NAME)
        self.schema = schema(metadata)
        self.rows: list[dict[str, Any]] = []

    def __enter__(self) -> TableWriter:
        import pyarrow.parquet as pq

        self.writer: Any = pq.ParquetWriter(self.whole.__enter__(), self.schema, compression="zstd")
        return self

    def add(self, row: Row, dropped: Sequence[str], duplicate_of: str | None) -> None:
        values = {each.name: getattr(row, each.name) for each in fields(Row)}
        derived = {name: getattr(row, name) for name in DERIVED}
        self.rows.append({**values, **derived, "dropped": list(dropped), "duplicate_of": duplicate_of})
        if len(self.rows) == BATCH:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self.rows:
            self.writer.write_table(pa.Table.from_pylist(self.rows, self.schema))
            self.rows = []

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self._flush()
        self.writer.close()
        self.whole.__exit__(kind, error, at)


def metadata_of(dataset: str | Path) -> dict[str, Any]:
    """`folder`, `settings` and `thresholds` of a curated data set."""
    found = _open(Path(dataset)).schema_arrow.metadata or {}
    values = {key.decode(): value.decode() for key, value in found.items()}
    return {key: json.loads(values[key]) for key in ("folder", "settings", "thresholds") if key in values}


def kept_shots(dataset: str | Path, columns: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """The shots that stay, as dictionaries of `columns` (none: all). Raises DiffilmError where there is no table."""
    wanted = list(columns) or None
    file = _open(Path(dataset))
    for batch in file.iter_batches(BATCH, columns=None if wanted is None else [*wanted, "dropped"]):
        for row in batch.to_pylist():
            if not row["dropped"]:
                yield row if wanted is None else {name: row[name] for name in wanted}


def _open(dataset: Path) -> Any:
    need_libraries()
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = dataset / NAME
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DiffilmError(
            f"data set {dataset}: {NAME} cannot be read ({error}); make it with `diffilm curate FOLDER -o {dataset}`"
        ) from error
