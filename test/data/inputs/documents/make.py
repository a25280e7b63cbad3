# Writes the files of documents in this folder, as ../make.py does the others. Run once; see ../README.md for the versions.
import datetime

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

ROWS, DIM = 60, 6
START = datetime.datetime(2024, 2, 29, 12, 0, 0, 250)
rows = [
    {
        'id': f'docs/{7 * i % ROWS}.md#{i % 3}',
        'embedding': [((31 * i + 17 * j) % 101) / 8 - 5 for j in range(DIM)],
        'path': None if i % 9 == 4 else f'docs/\u00e4 {i % 5}.md',
        'draft': None if i % 8 == 1 else i % 3 == 0,
        'tags': None if i % 10 == 3 else [f'tag {(i + j) % 5}' for j in range(i % 4)],
        'size': i * 10**12 - 5 * 10**13,
        'weight': i / 7,
        'changed': START + datetime.timedelta(seconds=i),
        'day': datetime.date(1969, 12, 30) + datetime.timedelta(days=i),
    }
    for i in range(ROWS)
]
schema = pa.schema([
    ('id', pa.string()), ('embedding', pa.list_(pa.float32(), DIM)), ('path', pa.large_string()), ('draft', pa.bool_()),
    ('tags', pa.list_(pa.string())), ('size', pa.int64()), ('weight', pa.float64()),
    ('changed', pa.timestamp('us', tz='UTC')), ('day', pa.date32()),
])
table = pa.Table.from_pylist(rows, schema)
pq.write_table(table, 'pyarrow-deltas.parquet', use_dictionary=False, data_page_size=100, write_batch_size=7,
               row_group_size=40, column_encoding={'id': 'DELTA_BYTE_ARRAY', 'path': 'DELTA_LENGTH_BYTE_ARRAY',
                                                   'size': 'DELTA_BINARY_PACKED', 'draft': 'RLE'})
nanoseconds = table.set_column(7, 'changed', table.column('changed').cast(pa.timestamp('ns')))
pq.write_table(nanoseconds, 'pyarrow-v2.parquet', data_page_version='2.0', compression='zstd', data_page_size=100,
               write_batch_size=7, write_page_checksum=True)
table_of_rows = table
pl.from_arrow(table).write_parquet('polars.parquet')
duckdb.sql("copy (select * from table_of_rows) to 'duckdb-v2.parquet' (format parquet, parquet_version v2)")
