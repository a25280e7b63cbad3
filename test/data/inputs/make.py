# Writes the files of this folder with other writers than the library's tests have. Run once; see README.md for the versions.
import duckdb
import h5py
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

ROWS, DIM = 60, 6
# Row i holds ((31 i + 17 j) mod 101) / 8 - 5 at position j, exact in float16 too; its id is 3 i + 7.
i, j = np.mgrid[0:ROWS, 0:DIM]
vectors = (((i * 31 + j * 17) % 101) / 8 - 5).astype('f4')
ids = np.arange(ROWS) * 3 + 7
texts = [f'text {row}' for row in range(ROWS)]

fixed = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIM)
half = pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype('f2').ravel()), DIM)
double = pa.array(vectors.astype('f8').tolist(), pa.list_(pa.float64()))
table = lambda column: pa.table({'id': pa.array(ids), 'text': texts, 'embedding': column})
pq.write_table(table(fixed), 'pyarrow-snappy.parquet', row_group_size=25)
pq.write_table(table(fixed), 'pyarrow-v2-checksums.parquet', data_page_version='2.0', compression='zstd', use_dictionary=False, write_page_checksum=True, data_page_size=100, write_batch_size=7)
pq.write_table(table(double), 'pyarrow-double-small-pages.parquet', compression='gzip', use_dictionary=False, data_page_size=100, write_batch_size=7)
pq.write_table(table(half), 'pyarrow-float16.parquet', compression='lz4')
pq.write_table(table(fixed), 'pyarrow-byte-streams.parquet', compression='brotli', use_dictionary=False,
               column_encoding={'embedding.list.element': 'BYTE_STREAM_SPLIT', 'id': 'DELTA_BINARY_PACKED', 'text': 'PLAIN'})
frame = pl.DataFrame({'id': ids, 'text': texts, 'embedding': vectors}, schema_overrides={'embedding': pl.Array(pl.Float32, DIM)})
frame.write_parquet('polars-array.parquet')
connection = duckdb.connect()
connection.register('source', table(fixed))
connection.execute(f"copy (select id, text, embedding::FLOAT[{DIM}] as embedding from source) to 'duckdb-array.parquet' (format parquet)")

with h5py.File('h5py.hdf5', 'w') as file:
    file['train'] = vectors
    file['test'] = vectors[:5]
    file.create_dataset('chunked', data=vectors, chunks=(16, 4), compression='gzip', shuffle=True, fletcher32=True)
    file.create_dataset('half', data=vectors.astype('f2'))
    file.create_dataset('group/big-endian double', data=vectors.astype('>f8'))
    file.create_dataset('one axis', data=vectors[0])
    file.create_dataset('words', data=np.array([['a', 'b'], ['c', 'd']], dtype='S1'))
