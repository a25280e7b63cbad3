"""A second reader of the ZGQ vector index, written from README.md beside it alone.

    python3 reader.py INDEX QUERIES.fbin [--k 10] [--nprobe N | --exact] [--filter JSON] [--payload]
    python3 reader.py --check INDEX
    python3 reader.py --estimates INDEX QUERIES.fbin
    python3 reader.py --id ID INDEX

INDEX may be packed: one file, or a folder of parts.

Searches read the float32 rows; --filter {"field": value} finds rows whose fields equal the values (a list: one of its
strings does), --payload prints the payloads of hits. --estimates prints what the codes say of every zone and row, beside the true distance.
--id prints the vector of a row, found through the ids files where there are some.

It needs Python 3.9 and the standard library. The answer is one JSON object on standard output;
a rejected index is exit 1 and one line on standard error, wrong usage is exit 2.
"""
import argparse
import bisect
import hashlib
import heapq
import io
import itertools
import json
import math
import os
import pathlib
import re
import sqlite3
import stat
import struct
import sys
import zlib
from array import array
from collections import namedtuple
from operator import lt, mul, sub

PAGE = 4096
MAX_INTEGER = 2**53 - 1
PIECE = 2**20  # what is read at a time
VERSION = 2
KIND_NAMES = {1: "vectors", 2: "codes", 3: "fields", 4: "payload", 5: "ids", 6: "delta"}
VECTORS, CODES, FIELDS, PAYLOAD, IDS_FILE, DELTA = KIND_NAMES
LETTERS = {VECTORS: b"V", CODES: b"C", FIELDS: b"F", PAYLOAD: b"P", IDS_FILE: b"I", DELTA: b"D"}
APPLICATION_ID = b"ZGQ1"
METRICS = {1: "l2", 2: "cosine", 3: "ip"}
INTEGER, STRING = 1, 2  # types of ids
IDS, INVERSE_NORMS, PAGE_CRCS, STRING_IDS, PLANES, REFINED_CODES = 1, 2, 3, 4, 16, 17
NUMBERS_OF, BITS_OF, PRESENCE, STRINGS_OF, LISTS_OF, DICTIONARY = range(32, 38)
PAYLOAD_OFFSETS, ROW_CRCS, PAYLOADS = 48, 49, 50
FIELD_KINDS = {"number": (NUMBERS_OF,), "boolean": (BITS_OF,), "string": (STRINGS_OF, DICTIONARY), "string[]": (LISTS_OF, DICTIONARY)}
MOST_FIELDS, MOST_NAME_BYTES, MOST_PAYLOAD_BYTES, MOST_PAYLOAD_ITEMS = 256, 255, 2**24, 2**21
MISSING = object()  # a row does not have the field
MOST_ID_BYTES, LEAST_STRING_ID = 1024, 5  # a start and a byte
PAGE_ENTRIES, SEED_LOW, SEED_HIGH = 255, 0x9747B28C, 0
BLOCK_ROWS = 32
MOST_META_ROWS, MOST_KEY_BYTES, MOST_VALUE_BYTES, MOST_CHUNK_RECORDS = 16, 64, PIECE, 4096
MOST_COLUMNS, MOST_ROUNDS, MOST_ROWS, MOST_POINTS = 1024, 16, 2**31 - 1, 16_384
MOST_ITEMS = 8192  # of the value of build: entries of all its maps and elements of all its lists


class Layout:
    """A structure of the spec: the names and types of its fields, in order and without gaps."""

    def __init__(self, name, fields):
        names = re.findall(r"(\w+):(\w+)", fields)
        self.type = namedtuple(name, [field for field, _ in names])
        self.struct = struct.Struct("<" + "".join(LETTER_OF_TYPE[kind] for _, kind in names))
        self.size = self.struct.size
        self.sizes = [place for place, (_, kind) in enumerate(names) if kind == "u64"]

    def decode(self, data, offset=0):
        values = self.struct.unpack_from(data, offset)
        need(all(values[place] <= MAX_INTEGER for place in self.sizes), f"{self.type.__name__}: a u64 is above 2^53 - 1")
        return self.type(*values)


LETTER_OF_TYPE = {"u32": "I", "u64": "Q", "flags64": "Q", "f64": "d",
                  "bytes4": "4s", "bytes8": "8s", "bytes16": "16s", "bytes32": "32s"}
HEADER = Layout("Header", """magic:bytes8 version:u32 header_byte_length:u32 reader_features:flags64
    writer_features:flags64 index_id:bytes16 generation:u64 shard:u64 dim:u64 element_type:u32 metric:u32
    alignment:u64 file_byte_length:u64 segment_count:u64 row_count:u64""")
COLUMNS_HEADER = Layout("ColumnsHeader", "magic:bytes4 column_count:u32 segment:u64 row_count:u64")
COLUMN_ENTRY = Layout("ColumnEntry", "kind:u32 flags:u32 offset:u64 byte_length:u64 crc:u32 field:u32")
DIRECTORY_ENTRY = Layout("DirectoryEntry", """segment:u64 zone:u32 flags:u32 row_count:u64 rows_offset:u64
    columns_offset:u64 columns_byte_length:u64 min_norm:f64 max_norm:f64 radius:f64 columns_crc:u32 reserved:u32""")
FOOTER = Layout("Footer", """directory_offset:u64 directory_byte_length:u64 segment_count:u64 superseded_count:u64
    index_id:bytes16 directory_crc:u32 reserved:u32 magic:bytes8 version:u32 crc:u32""")
FILE_RECORD = Layout("FileRecord", """file:u64 kind:u32 header_crc:u32 generation:u64 shard:u64 byte_length:u64
    segment_count:u64 row_count:u64 reserved:u64""")
SEGMENT_RECORD = Layout("SegmentRecord", """segment:u64 zone:u32 flags:u32 row_count:u64 min_norm:f64 max_norm:f64
    radius:f64 spread:f64 """ + " ".join(
    f"{extent}_offset:u64 {extent}_byte_length:u64 {extent}_file:u32 {extent}_crc:u32"
    for extent in ("rows", "columns", "codes", "fields", "payload")))
INDEX_RECORD = Layout("IndexRecord", """version:u32 metric:u32 element_type:u32 bits:u32 id_type:u32 reserved:u32
    reader_features:flags64 writer_features:flags64 index_id:bytes16 generation:u64 commit:u64 dim:u64 count:u64
    zone_count:u64 segment_count:u64 file_count:u64 next_segment:u64 next_file:u64 delta_zone_count:u64 digest:bytes32""")
CHANGES_RECORD = Layout("ChangesRecord", """next_sequence:u64 fresh_count:u64 fresh_bytes:u64 fresh_removed:u64
    deleted_count:u64 patch_count:u64 rows_since_calibration:u64 reserved:u64""")
QUANTIZER_HEADER = Layout("QuantizerHeader", "rounds:u32 reserved:u32")
PACKED_HEADER = Layout("PackedHeader", """magic:bytes8 version:u32 header_byte_length:u32 reader_features:flags64 index_id:bytes16
    generation:u64 commit:u64 file_byte_length:u64 opening_byte_length:u64 opened_byte_length:u64 opening_crc:u32
    centroid_page_count:u32 digest:bytes32""")
OPENED_LENGTHS = Layout("OpenedLengths", """values_byte_length:u64 part_count:u64 centroid_page_count:u64
    zone_codes_byte_length:u64 file_count:u64 segment_count:u64""")
PART_RECORD = Layout("PartRecord", "byte_length:u64 digest:bytes32")
PACKED_MAGIC = b"ZGQ\r\n\x1a\nK"
CALIBRATION_HEADER = Layout("CalibrationHeader", """source:u32 flags:u32 queries:u64 confidence:f64 highest_recall:f64
    scale:f64 copies:f64 nearest_zone:f64 farthest_zone:f64 farthest_hit:f64
    max_norm:f64 point_count:u64 alignment:f64 gain:f64""")
CALIBRATION_POINT = Layout("CalibrationPoint", """k:u64 filter:u32 flags:u32 recall:f64 threshold:f64 mean:f64
    zones:f64 trust:f64""")
IDS_ENTRY = struct.Struct("<IIII")  # hash low and high, then row and segment or the number of a page
IDS_PAGE_END = struct.Struct("<IIII")  # count, level, 0, CRC
CHUNK_TABLES = ("files", "segments", "zones", "zone_codes", "delta_zones")
CHANGE_TABLES = (
    ("fresh", "sequence", (("id", "BLOB"), ("vector", "BLOB"), ("payload", "BLOB"))),
    ("masks", "sequence", (("segment", "INTEGER"), ("deleted", "BLOB"))),
    ("patches", "sequence", (("segment", "INTEGER"), ("row", "INTEGER"), ("payload", "BLOB"))),
    ("writers", "writer", (("about", "BLOB"),)),
    ("reservations", "generation", (("about", "BLOB"),)),
    ("superseded", "file", (("record", "BLOB"), ("since", "INTEGER"))))


def schema():
    """Section 7: the rows of sqlite_schema, to the letter."""
    columns = "  first INTEGER PRIMARY KEY,\n  count INTEGER NOT NULL,\n  records BLOB NOT NULL,\n  crc INTEGER NOT NULL\n"
    statements = {table: f"CREATE TABLE {table} (\n{columns})" for table in CHUNK_TABLES}
    statements["meta"] = ("CREATE TABLE meta (\n  key TEXT PRIMARY KEY,\n  value BLOB NOT NULL,\n"
                          "  crc INTEGER NOT NULL\n) WITHOUT ROWID")
    for table, key, columns in CHANGE_TABLES:
        lines = "".join(f"  {name} {kind} NOT NULL,\n" for name, kind in columns)
        statements[table] = f"CREATE TABLE {table} (\n  {key} INTEGER PRIMARY KEY,\n{lines}  crc INTEGER NOT NULL\n)"
    return {("table", table, table, statement) for table, statement in statements.items()}


class ZgqError(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def need(condition, message, code="ZGQ_CORRUPT"):
    if not condition:
        raise ZgqError(code, message)


def magic_of(kind):
    return b"ZGQ\r\n\x1a\n" + LETTERS[kind]


def pages(byte_length):
    return -(-byte_length // PAGE)


def decode(type_code, data):
    """Little-endian values: "f" float32, "I" u32, "Q" u64."""
    values = array(type_code, bytes(data))
    if sys.byteorder == "big":
        values.byteswap()
    return values


def dot(a, b):
    return sum(map(mul, a, b))


def squared_distance(a, b):
    difference = list(map(sub, a, b))
    return dot(difference, difference)


def printable(text):
    """Nothing that steers a terminal: files that are quoted in a message may be hostile."""
    return re.sub("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", lambda found: f"\\u{ord(found[0]):04x}", text)


def open_regular(path):
    """Opens a file that is no link, no device and no FIFO."""
    need(os.path.lexists(path), f"{path!r} is missing")
    need(stat.S_ISREG(os.lstat(path).st_mode), f"{path!r} is not a regular file")
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    return open(os.open(path, flags), "rb")


def levels_of(count):
    """Section 4.1: how many pages each level of an ids file has, leaves first."""
    levels = [-(-count // PAGE_ENTRIES)]
    while levels[-1] > 1:
        levels.append(-(-levels[-1] // PAGE_ENTRIES))
    return levels


def murmur(data, seed):
    """MurmurHash3_x86_32."""
    mask = 0xFFFFFFFF

    def rotate(value, by):
        return (value << by | value >> 32 - by) & mask

    def scramble(block):
        return rotate(block * 0xCC9E2D51 & mask, 15) * 0x1B873593 & mask

    value, whole = seed, len(data) // 4 * 4
    for at in range(0, whole, 4):
        value = (rotate(value ^ scramble(int.from_bytes(data[at:at + 4], "little")), 13) * 5 + 0xE6546B64) & mask
    value ^= scramble(int.from_bytes(data[whole:], "little")) ^ len(data)
    value = (value ^ value >> 16) * 0x85EBCA6B & mask
    value = (value ^ value >> 13) * 0xC2B2AE35 & mask
    return value ^ value >> 16


def hash_of(row_id):
    """Section 4.1."""
    data = row_id if isinstance(row_id, bytes) else struct.pack("<Q", row_id)
    return murmur(data, SEED_HIGH) << 32 | murmur(data, SEED_LOW)


def is_finite(values):
    return all(map(math.isfinite, values))


def crc_of(file, offset, length):
    """The CRC of bytes that need not be in memory."""
    crc = 0
    for at in range(0, length, PIECE):
        crc = zlib.crc32(read_at(file, offset + at, min(PIECE, length - at)), crc)
    return crc


def read_at(file, offset, length):
    file.seek(offset)
    data = file.read(length)
    need(len(data) == length, f"{file.name!r} ends within {length} bytes at {offset}", "ZGQ_TRUNCATED")
    return data


def only(cursor):
    row = cursor.fetchone()
    need(row is not None, "a table has a row that is not found by its key")
    return row


CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
NUMBERS = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
           0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
SIZED = {0xC4: (bytes, ">B"), 0xC5: (bytes, ">H"), 0xC6: (bytes, ">I"),
         0xD9: (str, ">B"), 0xDA: (str, ">H"), 0xDB: (str, ">I"),
         0xDC: (list, ">H"), 0xDD: (list, ">I"), 0xDE: (dict, ">H"), 0xDF: (dict, ">I")}


def unpack(stream, left, depth=0):
    """The next MessagePack value, of the subset of section 7; ValueError or struct.error if there is none.

    `left` is a list of one number: the items that it may still have.
    """
    def number(form):
        return struct.unpack(form, stream.read(struct.calcsize(form)))[0]
    tag = number(">B")
    if tag < 0x80 or tag >= 0xE0:
        return tag if tag < 0x80 else tag - 0x100
    if tag in CONSTANTS:
        return CONSTANTS[tag]
    if tag in NUMBERS:
        return number(NUMBERS[tag])
    if tag < 0xC0:
        kind, size = (dict, tag & 15) if tag < 0x90 else (list, tag & 15) if tag < 0xA0 else (str, tag & 31)
    else:
        if tag not in SIZED:
            raise ValueError(f"type {tag:#x} is not allowed")
        kind, size = SIZED[tag][0], number(SIZED[tag][1])
    if depth == 32:
        raise ValueError("nested too deeply")
    if kind in (bytes, str):
        data = stream.read(size)
        if len(data) < size:
            raise ValueError("a string ends early")
        return data if kind is bytes else data.decode("utf-8")
    left[0] -= size
    if left[0] < 0:
        raise ValueError("too many items")
    if kind is list:
        return [unpack(stream, left, depth + 1) for _ in range(size)]
    pairs = [(unpack(stream, left, depth + 1), unpack(stream, left, depth + 1)) for _ in range(size)]
    if not all(type(key) is str for key, _ in pairs) or len(dict(pairs)) < size:
        raise ValueError("a key is repeated or not a string")
    return dict(pairs)


def read_map(data, what, items=MOST_ITEMS):
    """Bytes that are one map of plain MessagePack."""
    stream = io.BytesIO(data)
    try:
        value = unpack(stream, [items])
    except (ValueError, struct.error) as error:
        raise ZgqError("ZGQ_CORRUPT", f"{what} is not MessagePack: {error}") from None
    need(type(value) is dict and stream.tell() == len(data), f"{what} is not one map")
    return value


def check_build(data):
    """Section 11.1: the facts for people are one map of plain MessagePack."""
    read_map(data, "meta build")


def check_calibration(data, zone_count):
    """Section 7.6."""
    def between(low, high, **values):
        for name, value in values.items():
            need(low <= value <= high, f"calibration: {name} is out of range")

    need(len(data) >= CALIBRATION_HEADER.size, "calibration: the value is too short")
    head = CALIBRATION_HEADER.decode(data)
    between(1, MOST_POINTS, point_count=head.point_count)
    need(len(data) == CALIBRATION_HEADER.size + head.point_count * CALIBRATION_POINT.size,
         "calibration: the value is of a wrong length")
    need(head.source in (1, 2), "calibration: source is not known")
    recalls, most = (0.001, 1 - 2**-52), sys.float_info.max
    between(1, MAX_INTEGER, queries=head.queries)
    between(0, 1, confidence=head.confidence)
    between(*recalls, highest_recall=head.highest_recall)
    between(0, most, scale=head.scale)
    if head.flags & 1:
        between(0, most, nearest_zone=head.nearest_zone, farthest_zone=head.farthest_zone, farthest_hit=head.farthest_hit)
    if head.flags & 2:
        between(0, most, copies=head.copies)
    if head.flags & 4:
        between(0, most, max_norm=head.max_norm)
    if head.flags & 8:
        between(0, 1, alignment=head.alignment, gain=head.gain)
    last = None
    for number in range(head.point_count):
        point = CALIBRATION_POINT.decode(data, CALIBRATION_HEADER.size + number * CALIBRATION_POINT.size)
        if point.filter != 0:
            continue
        between(1, MAX_INTEGER, k=point.k)
        between(*recalls, recall=point.recall)
        between(0, most, threshold=point.threshold)
        between(0, 1, mean=point.mean)
        between(1, zone_count, zones=point.zones)
        if point.flags & 1:
            between(0, 100, trust=point.trust)
        if last is not None:
            need(point.k > last.k or point.k == last.k and point.recall > last.recall,
                 "calibration: points are not in order of k and recall")
            need(point.k > last.k or point.threshold >= last.threshold, "calibration: a threshold falls")
        last = point
    need(last is not None, "calibration: there is no point without a filter")


class Index:
    """An open index: the catalogue is read and verified, every data file is open and its header verified.

    centroids are the bytes of one zone after the other, zone_codes of one chunk after the other, as (zones, blocks).
    """

    def __init__(self, folder):
        self.folder = folder
        path = os.path.join(folder, "catalogue.sqlite")
        need(os.path.lexists(path) and stat.S_ISREG(os.lstat(path).st_mode), f"{folder!r} has no catalogue.sqlite",
             "ZGQ_NOT_AN_INDEX")
        for beside in (path + ending for ending in ("-journal", "-wal", "-shm")):
            need(not os.path.lexists(beside) or stat.S_ISREG(os.lstat(beside).st_mode), f"{beside!r} is not a regular file")
        with open(path, "rb") as file:  # before SQLite opens it: it would write beside a file in WAL mode
            head = file.read(100)
        need(len(head) == 100 and head[:16] == b"SQLite format 3\0" and head[68:72] == APPLICATION_ID,
             f"{path!r} is not a SQLite database with our application_id", "ZGQ_NOT_AN_INDEX")
        version = int.from_bytes(head[60:64], "big")
        need(version == VERSION, f"format version {version} is not known", "ZGQ_UNSUPPORTED")
        need(head[18:20] == b"\1\1", f"{path!r} is not in DELETE journal mode")
        try:
            connection = sqlite3.connect(pathlib.Path(os.path.abspath(path)).as_uri() + "?mode=ro", uri=True)
            try:
                self.byte_length = os.path.getsize(path)
                self.stand_guard(connection)
                self.meta = self.read_meta(connection)
                self.read_index()
                self.read_tables(connection)
                self.read_changes(connection)
            finally:
                connection.close()
        except (sqlite3.Error, sqlite3.Warning, UnicodeDecodeError, OverflowError) as error:  # the message of SQLite may quote damaged text
            code = "ZGQ_NOT_AN_INDEX" if "not a database" in str(error) else "ZGQ_CORRUPT"
            raise ZgqError(code, f"{path!r}: {error}") from None
        self.verify_records()

    def verify_records(self):
        self.verify_files()
        self.verify_segments()
        self.verify_extents()
        self.handles = {file.file: self.open_file(file) for file in self.files.values()}

    def stand_guard(self, connection):
        """Section 11.1: nothing in the file is trusted before its schema is ours, and nothing in it may go on for ever."""
        steps = [200 + 3 * self.byte_length // 10_000]

        def is_enough():
            steps[0] -= 1
            return steps[0] < 0
        connection.set_progress_handler(is_enough, 10_000)
        if hasattr(connection, "setlimit"):  # Python 3.11
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 17 * PIECE)  # the longest payload has 16 MiB
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "query_only = ON"):
            connection.execute("PRAGMA " + pragma)
        expected, columns = schema(), ("type", "name", "tbl_name", "sql")
        shapes = ",".join(f"typeof({column}) = 'text' AND length({column}) <= 1000" for column in columns)
        found = connection.execute(f"SELECT {shapes} FROM sqlite_schema LIMIT {len(expected) + 1}").fetchall()
        need(len(found) == len(expected) and all(all(shape) for shape in found),
             "the schema of the catalogue is another one")
        found = connection.execute(f"SELECT {','.join(columns)} FROM sqlite_schema LIMIT {len(expected) + 1}").fetchall()
        need(set(found) == expected, "the schema of the catalogue is another one")

    def read_meta(self, connection):
        """Section 7: the values by their keys."""
        shapes = connection.execute(
            "SELECT typeof(key), length(key), typeof(value), length(value), typeof(crc) FROM meta LIMIT ?",
            [MOST_META_ROWS + 1]).fetchall()
        need(len(shapes) <= MOST_META_ROWS, "meta has too many rows")
        for key_type, key_length, value_type, value_length, crc_type in shapes:
            need((key_type, value_type, crc_type) == ("text", "blob", "integer"), "meta has a value of a wrong type")
            need(key_length <= MOST_KEY_BYTES and value_length <= MOST_VALUE_BYTES, "meta has too long a key or value")
        values, last = {}, None
        for key, crc in connection.execute("SELECT key, crc FROM meta").fetchall():
            name = key.encode()
            need(len(name) <= MOST_KEY_BYTES and (last is None or name > last), "meta has too long a key, or one out of order")
            last = name
            value, = only(connection.execute("SELECT value FROM meta WHERE key = ?", [key]))
            data = struct.pack("<I", len(name)) + name + struct.pack("<I", len(value)) + value
            need(zlib.crc32(data) == crc, f"meta {key}: the CRC does not fit")
            values[key] = value
        return values

    def read_index(self):
        """Section 7.4, and what else is a value of meta."""
        need("index" in self.meta, "meta has no key index")
        need(len(self.meta["index"]) == INDEX_RECORD.size, "meta index is of a wrong length")
        self.record = record = INDEX_RECORD.decode(self.meta["index"])
        for key, known in (("version", (VERSION,)), ("reader_features", (0,)), ("element_type", (1,)),
                           ("id_type", (INTEGER, STRING)),
                           ("bits", (0, 1, 2, 4, 8))):
            number = getattr(record, key)
            need(number in known, f"{key} {number} is not known", "ZGQ_UNSUPPORTED")
        need(record.metric in METRICS, f"metric {record.metric} is not known")
        need(1 <= record.dim <= 65536, f"dim {record.dim} is out of range")
        self.metric, self.dim, self.bits = METRICS[record.metric], record.dim, record.bits
        self.id_kind = IDS if record.id_type == INTEGER else STRING_IDS
        self.width = -(-self.dim // 16) * 16
        self.block_bytes = self.width * 4 + 272
        if "calibration" in self.meta:
            check_calibration(self.meta["calibration"], record.zone_count)
        self.read_fields()
        if self.bits > 0:
            self.read_quantizer()

    def read_fields(self):
        """Section 7.4: names, numbers and types of the declared fields."""
        self.fields = {}
        if "fields" in self.meta:
            types = read_map(self.meta["fields"], "meta fields")
            need(1 <= len(types) <= MOST_FIELDS, "meta fields: none, or too many")
            for number, (name, kind) in enumerate(types.items(), 1):
                need(1 <= len(name.encode()) <= MOST_NAME_BYTES and not name.startswith("$"), "meta fields: a name that none may have")
                need(type(kind) is str and kind in FIELD_KINDS, "meta fields: a type that is not known")
                self.fields[name] = number, kind
        if "model" in self.meta:
            self.meta["model"].decode("utf-8")

    def read_quantizer(self):
        """Section 8.1: the flips of each round as +1 and -1, and the origin of rotated vectors."""
        need("quantizer" in self.meta, "meta has no key quantizer")
        data, start = self.meta["quantizer"], QUANTIZER_HEADER.size + 4 * self.dim
        need(len(data) >= start, "quantizer: the value is too short")
        rounds = QUANTIZER_HEADER.decode(data).rounds
        need(1 <= rounds <= MOST_ROUNDS and len(data) == start + rounds * self.width // 8,
             "quantizer: rounds is out of range, or the value of a wrong length")
        self.mean = decode("f", data[QUANTIZER_HEADER.size:start]).tolist()
        need(is_finite(self.mean), "quantizer: mean is not finite")
        bits = [-1 if byte >> bit & 1 else 1 for byte in data[start:] for bit in range(8)]
        self.flips = [bits[at:at + self.width] for at in range(0, len(bits), self.width)]

    def read_tables(self, connection):
        """Section 7.1: the records of all chunks, and the digest over them."""
        record, self.chunk_crcs = self.record, []
        files, segments, zones, zone_codes, delta_zones = (
            list(self.chunks(connection, *table)) for table in (
                ("files", FILE_RECORD.size, record.file_count),
                ("segments", SEGMENT_RECORD.size, record.segment_count),
                ("zones", self.dim * 4, record.zone_count),
                ("zone_codes", None, record.zone_count if self.bits > 0 else 0),
                ("delta_zones", self.dim * 4, record.delta_zone_count)))
        digest = hashlib.sha256(struct.pack(f"<{len(self.chunk_crcs)}I", *self.chunk_crcs)).digest()
        need(digest == record.digest, "the digest does not fit the chunks of the catalogue")
        self.files = self.numbered("files", FILE_RECORD, files, min(record.next_file, 2**32))
        self.segments = self.numbered("segments", SEGMENT_RECORD, segments, record.next_segment)
        self.centroids, self.zone_codes, size = [], [(count, records) for _, count, records in zone_codes], self.dim * 4
        for _, _, records in zones + delta_zones:
            need(is_finite(decode("f", records)), "a centroid is not finite")
            self.centroids += [records[at:at + size] for at in range(0, len(records), size)]

    def read_changes(self, connection):
        """Section 7.7: fresh rows by id, deleted rows by segment as bits, patches by (segment, row)."""
        data = self.meta.get("changes", struct.pack("<8Q", 1, 0, 0, 0, 0, 0, 0, 0))
        need(len(data) == CHANGES_RECORD.size, "meta changes is of a wrong length")
        self.changes = counts = CHANGES_RECORD.decode(data)
        need(counts.fresh_count + counts.fresh_removed + counts.patch_count < counts.next_sequence
             and counts.deleted_count <= self.record.count, "meta changes: more changes than sequences or rows")
        self.fresh, self.deleted, self.patches, self.bytes_left = {}, {}, {}, self.byte_length
        fresh_bytes = rows = 0
        for where, sequence, (row_id, vector, payload) in self.changed_rows(connection, "fresh"):
            need(len(vector) == 4 * self.dim, f"{where}: the vector is of a wrong length")
            x = decode("f", vector)
            need(is_finite(x) and (self.metric != "cosine" or any(x)), f"{where}: no row has such a vector")
            if self.id_kind == IDS:
                need(len(row_id) == 8 and int.from_bytes(row_id, "little") <= MAX_INTEGER, f"{where}: no id is so")
                row_id = int.from_bytes(row_id, "little")
            else:
                need(1 <= len(row_id) <= MOST_ID_BYTES, f"{where}: no id has so many bytes")
                row_id.decode("utf-8")
            self.fresh[row_id] = x, sequence, read_map(payload, where, MOST_PAYLOAD_ITEMS) if payload else None
            fresh_bytes, rows = fresh_bytes + len(vector) + len(payload), rows + 1
        need((rows, fresh_bytes) == (counts.fresh_count, counts.fresh_bytes), "fresh rows are not as many as said")
        for where, _, (number, mask) in self.changed_rows(connection, "masks"):
            need(number in self.segments and number not in self.deleted, f"{where}: the segment is not there, or has two")
            bits, row_count = int.from_bytes(mask, "little"), self.segments[number].row_count
            need(len(mask) == -(-row_count // 8) and bits >> row_count == 0, f"{where}: the mask is of another length")
            self.deleted[number] = bits
        need(sum(bin(bits).count("1") for bits in self.deleted.values()) == counts.deleted_count,
             "deleted rows are not as many as said")
        for where, _, (number, row, payload) in self.changed_rows(connection, "patches"):
            need(number in self.segments and row < self.segments[number].row_count and (number, row) not in self.patches,
                 f"{where}: the row is not there, or has two")
            self.patches[number, row] = read_map(payload, where, MOST_PAYLOAD_ITEMS)
        need(len(self.patches) == counts.patch_count, "patches are not as many as said")

    def changed_rows(self, connection, table):
        """The rows of a table of changes, each looked at before it is read; together they fit into the catalogue."""
        columns = next(columns for name, _, columns in CHANGE_TABLES if name == table)
        names, types = ",".join(name for name, _ in columns), [kind.lower() for _, kind in columns] + ["integer"]
        shapes = ",".join([f"typeof({name})" for name, _ in columns] + ["typeof(crc)"] + [f"length({name})" for name, _ in columns])
        last = 0
        for sequence, *shape in connection.execute(f"SELECT sequence,{shapes} FROM {table} ORDER BY sequence"):
            where = f"{table}, row {sequence}"
            need(last < sequence < self.changes.next_sequence, f"{where}: sequences are out of order")
            need(shape[:len(types)] == types, f"{where}: a value is of a wrong type")
            self.bytes_left -= sum(length for length, kind in zip(shape[len(types):], types) if kind == "blob")
            need(self.bytes_left >= 0, f"{where}: more bytes than the catalogue")
            *values, crc = only(connection.execute(f"SELECT {names},crc FROM {table} WHERE sequence = ?", [sequence]))
            need(all(type(value) is bytes or 0 <= value <= MAX_INTEGER for value in values), f"{where}: a number is out of range")
            parts = [struct.pack("<Q", value) if type(value) is int else struct.pack("<I", len(value)) + value for value in values]
            need(zlib.crc32(struct.pack("<Q", sequence) + b"".join(parts)) == crc, f"{where}: the CRC does not fit")
            yield where, sequence, values
            last = sequence

    def is_live(self, segment, row):
        return not self.deleted.get(segment, 0) >> row & 1

    def payload_of(self, place):
        """The payload of a row by its place, as it is now; the place of a fresh row is (None, id)."""
        segment, row = place
        if segment is None:
            return self.fresh[row][2]
        return self.patches[place] if place in self.patches else self.payloads(self.segments[segment])(row)

    def chunks(self, connection, table, size, expected):
        """The chunks of a table as (first, count, records); `size` is that of a record, None for blocks of 32 zones."""
        is_of_zones, total, total_bytes, last = table in ("zones", "zone_codes", "delta_zones"), 0, 0, -1
        columns = "typeof(count), typeof(records), typeof(crc), first, length(records)"
        for *types, first, length in connection.execute(f"SELECT {columns} FROM {table} ORDER BY first"):
            where = f"{table}, chunk {first}"
            need(types == ["integer", "blob", "integer"], f"{where}: a value is of a wrong type")
            need(last < first <= MAX_INTEGER, f"{where}: chunks are out of order")
            count, crc = only(connection.execute(f"SELECT count, crc FROM {table} WHERE first = ?", [first]))
            need(1 <= count <= MOST_CHUNK_RECORDS, f"{where}: count is out of range")
            need(length == (count * size if size else -(-count // BLOCK_ROWS) * self.block_bytes)
                 and length <= max(PIECE, BLOCK_ROWS * (size or self.block_bytes)), f"{where}: records are of a wrong length")
            if is_of_zones:
                need(first == total and (total % BLOCK_ROWS == 0 or table == "delta_zones"),
                     f"{where}: zones overlap, are missing, or do not fill a block")
            total, total_bytes, last = total + count, total_bytes + length, first
            need(total <= expected and total_bytes < self.byte_length, f"{where}: more records than the index has")
            records, = only(connection.execute(f"SELECT records FROM {table} WHERE first = ?", [first]))
            need(zlib.crc32(struct.pack("<QQ", first, count) + records) == crc, f"{where}: the CRC does not fit")
            self.chunk_crcs.append(crc)
            yield first, count, records
        need(total == expected, f"{table} has {total} records, the index {expected}")

    @staticmethod
    def numbered(table, layout, chunks, end):
        """The records of chunks by their numbers, which come first in them."""
        found, last = {}, -1
        for first, _, records in chunks:
            for at in range(0, len(records), layout.size):
                record = layout.decode(records, at)
                need(last < record[0] < end and (at > 0 or record[0] == first),
                     f"{table}: number {record[0]} is out of order or range")
                found[record[0]] = record
                last = record[0]
        return found

    @staticmethod
    def name(file):
        """Section 1."""
        return f"{KIND_NAMES[file.kind]}-{file.generation:06d}-{file.shard:05d}.zgq"

    def verify_files(self):
        """Section 7.2."""
        for file in self.files.values():
            need(file.kind in KIND_NAMES, f"file {file.file}: kind {file.kind} is not known", "ZGQ_UNSUPPORTED")
            need(file.byte_length >= PAGE, f"file {file.file} is shorter than its header")
            need(file.generation <= self.record.generation,
                 f"file {file.file} is of generation {file.generation}, the index of {self.record.generation}", "ZGQ_MISMATCH")
        need(len(set(map(self.name, self.files.values()))) == len(self.files), "two files have one name")
        self.ids_files = [file for file in self.files.values() if file.kind == IDS_FILE]
        for file in self.ids_files:
            need(file.row_count > 0 and file.segment_count == 0
                 and file.byte_length == (1 + sum(levels_of(file.row_count))) * PAGE,
                 f"{self.name(file)} has other counts or another length than its entries give")
        built_rows = sum(row.row_count for row in self.segments.values() if not self.is_delta(row))
        need(not self.ids_files or sum(file.row_count for file in self.ids_files) >= built_rows,
             "the ids files have fewer entries than there are rows")

    def is_delta(self, segment):
        """Section 6: zones of deltas are numbered after the others."""
        return segment.zone >= self.record.zone_count

    def verify_segments(self):
        """Section 7.3, without where extents are."""
        for row in self.segments.values():
            where = f"segment {row.segment}"
            need(row.flags == 0, f"{where}: flags {row.flags} are not known", "ZGQ_UNSUPPORTED")
            need(bool(self.fields) == (row.fields_byte_length > 0), f"{where}: fields, though none are declared, or none though some are")
            need(row.zone < len(self.centroids), f"{where}: there is no zone {row.zone}")
            need(1 <= row.row_count <= MOST_ROWS, f"{where}: row_count is out of range")
            need(0 <= row.min_norm <= row.max_norm < math.inf and 0 <= row.radius < math.inf and 0 <= row.spread < math.inf,
                 f"{where}: a norm, the radius or the spread is out of range")
            need(row.rows_byte_length == row.row_count * self.dim * 4, f"{where}: the rows are of a wrong length")
            need(row.columns_file == row.rows_file, f"{where}: the columns are not in the file of the rows")
            least = COLUMNS_HEADER.size + 2 * COLUMN_ENTRY.size + 4 * pages(row.rows_byte_length)
            id_bytes = row.row_count * (8 if self.id_kind == IDS else LEAST_STRING_ID)
            need(row.columns_byte_length >= least + id_bytes, f"{where}: the columns are too short")
            in_codes = id_bytes + COLUMN_ENTRY.size if self.id_kind == IDS else 0
            need(self.bits == 0 or row.codes_byte_length >= least + in_codes, f"{where}: the codes are too short")
            need(self.bits > 0 or row.codes_byte_length == 0,
                 f"{where}: there are codes in an index without")
        need(sum(row.row_count for row in self.segments.values()) == self.record.count, "count is wrong")

    def verify_extents(self):
        """Section 11.1: extents lie in a file of their kind, and no two have a page in common."""
        found = {number: [] for number in self.files}
        written = {number: [0, 0] for number in self.files}
        for row in self.segments.values():
            extents = [(VECTORS, row.rows_file, row.rows_offset, row.rows_byte_length),
                       (VECTORS, row.columns_file, row.columns_offset, row.columns_byte_length)]
            if self.bits > 0:
                extents.append((CODES, row.codes_file, row.codes_offset, row.codes_byte_length))
            if row.fields_byte_length > 0:
                extents.append((FIELDS, row.fields_file, row.fields_offset, row.fields_byte_length))
            if row.payload_byte_length > 0:
                extents.append((PAYLOAD, row.payload_file, row.payload_offset, row.payload_byte_length))
            for kind, number, offset, length in extents:
                where = f"segment {row.segment}: an extent at {offset} of file {number}"
                need(number in self.files and self.files[number].kind in (kind, DELTA), f"{where}: there is no such file of its kind")
                end = offset + pages(length) * PAGE
                need(offset % PAGE == 0 and PAGE <= offset < end <= self.files[number].byte_length,
                     f"{where} is out of range")
                found[number].append((offset, end))
            for number in {extent[1] for extent in extents}:
                written[number][0] += 1
                written[number][1] += row.row_count
        for number, file in self.files.items():
            extents = sorted(found[number])
            need(all(end <= start for (_, end), (start, _) in zip(extents, extents[1:])),
                 f"file {number}: two extents share a page")
            segment_count, row_count = written[number]
            need(segment_count <= file.segment_count and row_count <= file.row_count,
                 f"file {number} has more segments or rows than it was written with")

    def open_bytes(self, row):
        """The file of a record, and how long it is."""
        file = open_regular(os.path.join(self.folder, self.name(row)))
        return file, os.fstat(file.fileno()).st_size

    def open_file(self, row):
        name, (file, size) = self.name(row), self.open_bytes(row)
        need(size >= row.byte_length, f"{name} has {size} bytes of {row.byte_length}", "ZGQ_TRUNCATED")
        need(size == row.byte_length, f"{name} has {size} bytes, {row.byte_length} are said")
        page = read_at(file, 0, PAGE)
        crc = int.from_bytes(page[-4:], "little")
        need(zlib.crc32(page[:-4]) == crc, f"{name}: the header CRC does not fit")
        head = HEADER.decode(page)
        need(head.magic == magic_of(row.kind), f"{name} is not a {KIND_NAMES[row.kind]} file")
        need((head.version, head.reader_features, head.element_type, head.header_byte_length, head.alignment)
             == (VERSION, 0, 1, PAGE, PAGE), f"{name}: a field of the header is not known", "ZGQ_UNSUPPORTED")
        need((head.index_id, head.generation, head.shard, head.dim, head.metric)
             == (self.record.index_id, row.generation, row.shard, self.dim, self.record.metric)
             and (head.segment_count, head.row_count, head.file_byte_length, crc)
             == (row.segment_count, row.row_count, row.byte_length, row.header_crc),
             f"{name} belongs to another index or place", "ZGQ_MISMATCH")
        return file

    def expected_columns(self, segment):
        """Kinds and lengths that a columns extent has at least, beside rows and beside codes."""
        expected = {PAGE_CRCS: 4 * pages(segment.rows_byte_length)}
        if self.id_kind == IDS:
            expected[IDS] = 8 * segment.row_count
        return expected

    def columns(self, segment):
        """The columns beside the rows of a segment by kind, as bytes (section 4)."""
        expected = self.expected_columns(segment)
        expected.setdefault(self.id_kind)  # strings: any length
        if self.metric == "cosine":
            expected[INVERSE_NORMS] = 4 * segment.row_count
        place = segment.columns_file, segment.columns_offset, segment.columns_byte_length, segment.columns_crc
        return self.extent(segment, place, expected, (IDS, INVERSE_NORMS, PAGE_CRCS, STRING_IDS))

    def codes(self, segment):
        """The columns of the codes of a segment (section 8.3)."""
        expected = self.expected_columns(segment)
        expected[PLANES] = -(-segment.row_count // BLOCK_ROWS) * self.block_bytes
        if self.bits > 1:
            expected[REFINED_CODES] = segment.row_count * (12 + self.width * self.bits // 8)
        place = segment.codes_file, segment.codes_offset, segment.codes_byte_length, segment.codes_crc
        return self.extent(segment, place, expected, (IDS, PAGE_CRCS, PLANES, REFINED_CODES))

    def extent(self, segment, place, expected, known):
        number, start, byte_length, header_crc = place
        where, file = f"segment {segment.segment}: columns in {self.name(self.files[number])}", self.handles[number]
        need(byte_length >= COLUMNS_HEADER.size, f"{where}: the extent is too short")
        head = COLUMNS_HEADER.struct.unpack(read_at(file, start, COLUMNS_HEADER.size))
        length = COLUMNS_HEADER.size + COLUMN_ENTRY.size * head[1]
        need(head[1] <= MOST_COLUMNS and length <= byte_length, f"{where}: too many columns")
        entries = read_at(file, start, length)
        need(zlib.crc32(entries) == header_crc, f"{where}: the CRC of the header does not fit")
        need((head[0], *head[2:]) == (b"ZCOL", segment.segment, segment.row_count), f"{where}: not of this segment")
        columns, last, end = {}, (0, 0), length
        for at in range(COLUMNS_HEADER.size, length, COLUMN_ENTRY.size):
            kind, flags, offset, size, crc, of_field = COLUMN_ENTRY.decode(entries, at)
            need((kind, of_field) > last, f"{where}: kinds are not in ascending order")
            need(of_field == 0 or kind not in known, f"{where}: kind {kind} belongs to a field")
            need(offset % 64 == 0 and end <= offset <= byte_length - size, f"{where}: kind {kind} is out of range")
            end = offset + size
            need(kind in known or not flags & 1, f"{where}: required kind {kind} is not known", "ZGQ_UNSUPPORTED")
            if kind in expected:
                need(size == expected[kind] or kind == STRING_IDS and size <= (segment.row_count + 1) * (4 + MOST_ID_BYTES),
                     f"{where}: kind {kind} is of a wrong length")
                columns[kind] = read_at(file, start + offset, size)
                need(zlib.crc32(columns[kind]) == crc, f"{where}: the CRC of kind {kind} does not fit")
            last = (kind, of_field)
        need(len(columns) == len(expected), f"{where}: a column is missing")
        need(IDS not in columns or max(decode("Q", columns[IDS])) <= MAX_INTEGER, f"{where}: an id is out of range")
        return columns

    def ids(self, segment, columns):
        """The ids of the rows of a segment: integers, or strings as bytes, which is how they are compared."""
        if self.id_kind == IDS:
            return decode("Q", columns[IDS])
        where, column, end = f"segment {segment.segment}: string ids", columns[STRING_IDS], 4 * (segment.row_count + 1)
        need(len(column) >= end, f"{where}: the column is too short")
        starts, data = decode("I", column[:end]), column[end:]
        need(starts[0] == 0 and starts[-1] == len(data), f"{where}: they do not begin or end where the bytes do")
        need(all(1 <= last - first <= MOST_ID_BYTES for first, last in zip(starts, starts[1:])),
             f"{where}: one has no bytes, or too many")
        ids = [data[first:last] for first, last in zip(starts, starts[1:])]
        try:
            for text in ids:
                text.decode("utf-8")
        except UnicodeDecodeError:
            raise ZgqError("ZGQ_CORRUPT", f"{where}: one is not UTF-8") from None
        return ids

    def table(self, segment, place, known, of_fields):
        """Section 4: the entries of an extent of fields or payloads, as {(kind, field): (place in the file, length, CRC)}."""
        number, start, byte_length, header_crc = place
        where, file = f"segment {segment.segment}: columns in {self.name(self.files[number])}", self.handles[number]
        need(byte_length >= COLUMNS_HEADER.size, f"{where}: the extent is too short")
        head = COLUMNS_HEADER.struct.unpack(read_at(file, start, COLUMNS_HEADER.size))
        length = COLUMNS_HEADER.size + COLUMN_ENTRY.size * head[1]
        need(head[1] <= MOST_COLUMNS and length <= byte_length, f"{where}: too many columns")
        entries = read_at(file, start, length)
        need(zlib.crc32(entries) == header_crc, f"{where}: the CRC of the header does not fit")
        need((head[0], *head[2:]) == (b"ZCOL", segment.segment, segment.row_count), f"{where}: not of this segment")
        found, last, end = {}, (0, 0), length
        for at in range(COLUMNS_HEADER.size, length, COLUMN_ENTRY.size):
            kind, flags, offset, size, crc, field = COLUMN_ENTRY.decode(entries, at)
            need((kind, field) > last, f"{where}: kinds are not in ascending order")
            need(kind not in known or (field > 0) == of_fields, f"{where}: kind {kind} of field {field}")
            need(offset % 64 == 0 and end <= offset <= byte_length - size, f"{where}: kind {kind} is out of range")
            need(kind in known or not flags & 1, f"{where}: required kind {kind} is not known", "ZGQ_UNSUPPORTED")
            found[kind, field] = start + offset, size, crc
            last, end = (kind, field), offset + size
        return found, where, file

    def field(self, segment, name):
        """Section 4.3: the value of a field in each row of a segment; MISSING: the row does not have it."""
        number, kind = self.fields[name]
        place = segment.fields_file, segment.fields_offset, segment.fields_byte_length, segment.fields_crc
        found, where, file = self.table(segment, place, range(NUMBERS_OF, DICTIONARY + 1), True)
        where, rows, data = f"{where}: field {name!r}", segment.row_count, {}
        for (column, of), (offset, size, crc) in found.items():
            if of == number:
                data[column] = read_at(file, offset, size)
                need(zlib.crc32(data[column]) == crc, f"{where}: the CRC of kind {column} does not fit")
        need(set(data) - {PRESENCE} == set(FIELD_KINDS[kind]), f"{where}: other columns than its type has")
        words = 4 * -(-rows // 32)

        def bitmap(column):
            value = int.from_bytes(column, "little")
            need(value >> rows == 0, f"{where}: bits behind the last row")
            return [value >> row & 1 for row in range(rows)]
        present, nulls = [1] * rows, [0] * rows
        if PRESENCE in data:
            need(len(data[PRESENCE]) == 2 * words, f"{where}: presence is of a wrong length")
            present, nulls = bitmap(data[PRESENCE][:words]), bitmap(data[PRESENCE][words:])
            need(all(a >= b for a, b in zip(present, nulls)) and sum(present) - sum(nulls) < rows,
                 f"{where}: a row is null and missing, or all have a value")
        has = [a and not b for a, b in zip(present, nulls)]
        if kind == "number":
            need(len(data[NUMBERS_OF]) == 8 * rows, f"{where}: numbers are of a wrong length")
            values = decode("d", data[NUMBERS_OF]).tolist()
            need(not any(map(math.isnan, values)), f"{where}: a number is NaN")
        elif kind == "boolean":
            need(len(data[BITS_OF]) == words, f"{where}: bits are of a wrong length")
            values = list(map(bool, bitmap(data[BITS_OF])))
        else:
            strings = self.dictionary(where, data[DICTIONARY])
            if kind == "string":
                need(len(data[STRINGS_OF]) == 4 * rows, f"{where}: strings are of a wrong length")
                codes = decode("I", data[STRINGS_OF])
                need(all(code < len(strings) if has_one else code == 0 for code, has_one in zip(codes, has)), f"{where}: a code is out of range")
                values = [strings[code] if has_one else "" for code, has_one in zip(codes, has)]
            else:
                column, end = data[LISTS_OF], 4 * (rows + 1)
                need(len(column) >= end and len(column) % 4 == 0, f"{where}: lists are of a wrong length")
                starts, codes = decode("I", column[:end]), decode("I", column[end:])
                need(starts[0] == 0 and starts[-1] == len(codes) and all(a <= b for a, b in zip(starts, starts[1:]))
                     and all(code < len(strings) for code in codes), f"{where}: a start or code is out of range")
                values = [[strings[code] for code in codes[a:b]] for a, b in zip(starts, starts[1:])]
        need(all(has_one or not value for value, has_one in zip(values, has)), f"{where}: a value in a row without")
        return [value if has_one else None if is_null else MISSING for value, has_one, is_null in zip(values, has, nulls)]

    @staticmethod
    def dictionary(where, column):
        need(len(column) >= 8, f"{where}: the dictionary is too short")
        count = int.from_bytes(column[:4], "little")
        end = 4 * (count + 2)
        need(end <= len(column), f"{where}: the dictionary has fewer strings than it says")
        starts, data = decode("I", column[4:end]), column[end:]
        need(starts[0] == 0 and starts[-1] == len(data) and all(a <= b for a, b in zip(starts, starts[1:])),
             f"{where}: a start of the dictionary is out of range")
        strings = [data[a:b] for a, b in zip(starts, starts[1:])]
        need(all(a < b for a, b in zip(strings, strings[1:])), f"{where}: the dictionary does not ascend")
        try:
            return [text.decode("utf-8") for text in strings]
        except UnicodeDecodeError:
            raise ZgqError("ZGQ_CORRUPT", f"{where}: a string of the dictionary is not UTF-8") from None

    def payloads(self, segment):
        """Section 4.2: a function that gives the payload of a row; None: it has none."""
        if segment.payload_byte_length == 0:
            return lambda row: None
        place = segment.payload_file, segment.payload_offset, segment.payload_byte_length, segment.payload_crc
        found, where, file = self.table(segment, place, (PAYLOAD_OFFSETS, ROW_CRCS, PAYLOADS), False)
        need(all((kind, 0) in found for kind in (PAYLOAD_OFFSETS, ROW_CRCS, PAYLOADS)), f"{where}: a column is missing")
        columns = []
        for kind, size in ((PAYLOAD_OFFSETS, 8 * (segment.row_count + 1)), (ROW_CRCS, 4 * segment.row_count)):
            offset, length, crc = found[kind, 0]
            need(length == size, f"{where}: kind {kind} is of a wrong length")
            columns.append(read_at(file, offset, size))
            need(zlib.crc32(columns[-1]) == crc, f"{where}: the CRC of kind {kind} does not fit")
        offsets, crcs = decode("Q", columns[0]), decode("I", columns[1])
        start, length, _ = found[PAYLOADS, 0]
        need(offsets[0] == 0 and offsets[-1] <= length and all(a <= b for a, b in zip(offsets, offsets[1:])),
             f"{where}: an offset of a payload is out of range")

        def payload(row):
            size = offsets[row + 1] - offsets[row]
            need(size <= MOST_PAYLOAD_BYTES, f"{where}: the payload of row {row} is too long")
            data = read_at(file, start + offsets[row], size)
            need(zlib.crc32(data) == crcs[row], f"{where}: the CRC of the payload of row {row} does not fit")
            return read_map(data, f"{where}: the payload of row {row}", MOST_PAYLOAD_ITEMS) if size else None
        return payload

    def load(self, segment):
        """The ids of a segment, an iterator over its rows, and its columns; every page is verified."""
        columns = self.columns(segment)
        return self.ids(segment, columns), self.rows(segment, decode("I", columns[PAGE_CRCS])), columns

    def ids_page(self, file, level, number):
        """Section 4.1: the entries of a page of an ids file, verified by themselves; `number` counts within its level."""
        levels = levels_of(file.row_count)
        page = 1 + sum(levels[:level]) + number
        where, data = f"page {page} of {self.name(file)}", read_at(self.handles[file.file], page * PAGE, PAGE)
        count, found_level, zero, crc = IDS_PAGE_END.unpack_from(data, PAGE - IDS_PAGE_END.size)
        need(zlib.crc32(self.record.index_id + struct.pack("<Q", page) + data[:-4]) == crc, f"{where}: the CRC does not fit")
        below = levels[level - 1] if level else file.row_count
        expected = min(PAGE_ENTRIES, below - number * PAGE_ENTRIES)
        end = count * IDS_ENTRY.size
        need((found_level, count, zero) == (level, expected, 0) and not any(data[end:PAGE_ENTRIES * IDS_ENTRY.size]),
             f"{where}: not what must be there")
        entries = [(high << 32 | low, segment, row) for low, high, row, segment in IDS_ENTRY.iter_unpack(data[:end])]
        if level:
            first = 1 + sum(levels[:level - 1]) + number * PAGE_ENTRIES
            need([high << 32 | low for _, high, low in entries] == list(range(first, first + count)),
                 f"{where}: an entry leads to another page than its place gives")
            entries = [entry[0] for entry in entries]
        need(all(a < b or level and a == b for a, b in zip(entries, entries[1:])), f"{where}: entries are out of order")
        return entries

    def places_of(self, number):
        """Section 4.1: the pairs (segment, row) that may have an id with this hash."""
        for file in reversed(self.ids_files):
            for segment, row in self.places_in(file, number):
                need(self.is_known(segment) and (segment not in self.segments or row < self.segments[segment].row_count),
                     "an ids file leads to a row that is not there")
                if segment in self.segments:
                    yield segment, row

    def is_known(self, segment):
        """Section 4.1: whether there is, or was, a segment."""
        return segment < self.record.next_segment

    def places_in(self, file, number):
        levels, leaf = levels_of(file.row_count), 0
        for level in range(len(levels) - 1, 0, -1):
            hashes = self.ids_page(file, level, leaf)
            leaf = leaf * PAGE_ENTRIES + max(0, bisect.bisect_left(hashes, number) - 1)
        for page in range(leaf, levels[0]):
            for found, *place in self.ids_page(file, 0, page):
                if found > number:
                    return
                if found == number:
                    yield place

    def rows(self, segment, crcs):
        """The rows of a segment, some pages at a time."""
        length, size, rest = segment.rows_byte_length, self.dim * 4, b""
        for first in range(0, len(crcs), PIECE // PAGE):
            some = crcs[first:first + PIECE // PAGE]
            data = read_at(self.handles[segment.rows_file], segment.rows_offset + first * PAGE, len(some) * PAGE)
            for page, crc in enumerate(some):
                need(zlib.crc32(data[page * PAGE:(page + 1) * PAGE]) == crc,
                     f"segment {segment.segment}: the CRC of page {first + page} does not fit")
            data = rest + data[:length - first * PAGE]
            whole = len(data) // size * size
            values, rest = decode("f", data[:whole]), data[whole:]
            need(is_finite(values), f"segment {segment.segment}: a value is not finite")
            for at in range(0, len(values), self.dim):
                yield values[at:at + self.dim].tolist()


class Quantizer:
    """Section 8: rotation, codes and estimates."""

    def __init__(self, index):
        self.index, self.width = index, index.width

    def rotate(self, vector):
        """Section 8.1."""
        width = self.width
        window = 1 << (width.bit_length() - 1)
        values = list(vector)
        values += [0.0] * (width - len(values))
        for number, flips in enumerate(self.index.flips):
            values = list(map(mul, values, flips))
            start = 0 if number % 2 == 0 else width - window
            values[start:start + window] = self.hadamard(values[start:start + window])
            if window != width:
                low, high = values[:width // 2], values[width // 2:]
                values = [(a + b) * math.sqrt(0.5) for a, b in zip(low, high)]
                values += [(a - b) * math.sqrt(0.5) for a, b in zip(low, high)]
        return values

    @staticmethod
    def hadamard(values):
        step = 1
        while step < len(values):
            for at in range(len(values)):
                if at & step == 0:
                    a, b = values[at], values[at + step]
                    values[at], values[at + step] = a + b, a - b
            step *= 2
        return [value / math.sqrt(len(values)) for value in values]

    def plane_rows(self, column, row_count):
        """For each row its levels, add, multiply and error; the error is the largest of the block's. Section 8.3."""
        width, size = self.width, self.index.block_bytes
        for row in range(row_count):
            block = column[row // BLOCK_ROWS * size:][:size]
            place = row % BLOCK_ROWS
            halves = [block[group * 16 + place % 16] >> (4 if place >= 16 else 0) for group in range(width // 4)]
            levels = [(half >> j & 1) - 0.5 for half in halves for j in range(4)]
            factors = decode("f", block[width * 4:width * 4 + 260])
            add, multiply = factors[place], factors[BLOCK_ROWS + place]
            yield levels, add, multiply, factors[64] * multiply

    def refined_rows(self, column):
        width, bits = self.width, self.index.bits
        step, mask, middle = width * bits // 8, (1 << bits) - 1, ((1 << bits) - 1) / 2
        for at in range(0, len(column), 12 + step):
            add, multiply, error = decode("f", column[at:at + 12])
            code = column[at + 12:at + 12 + step]
            levels = [(code[i % step] >> i // step * bits & mask) - middle for i in range(width)]
            yield levels, add, multiply, error

    def estimates(self, segment, queries):
        """For each query, and each kind of codes, the pairs (estimate, standard deviation) of all rows. Section 8.2."""
        index, columns = self.index, self.index.codes(segment)
        centroid = decode("f", index.centroids[segment.zone])
        kinds = {"planes": list(self.plane_rows(columns[PLANES], segment.row_count))}
        if index.bits > 1:
            kinds["refined"] = list(self.refined_rows(columns[REFINED_CODES]))
        for query in queries:
            yield {kind: self.estimates_of(rows, query, centroid, index.metric) for kind, rows in kinds.items()}

    def estimates_of(self, rows, query, centroid, metric):
        rotated = self.rotate(map(sub, query, self.index.mean))
        distance2 = squared_distance(query, centroid)
        base = {"l2": distance2, "cosine": distance2 / 2, "ip": -dot(query, centroid)}[metric]
        return [(base + add - multiply * dot(levels, rotated), error * math.sqrt(distance2))
                for levels, add, multiply, error in rows]

    def zone_estimates(self, query):
        """The pairs (estimate, standard deviation) of all zones. Section 7.5."""
        metric = "ip" if self.index.metric == "ip" else "l2"
        rows = [row for count, blocks in self.index.zone_codes for row in self.plane_rows(blocks, count)]
        return self.estimates_of(rows, query, self.index.mean, metric)

    def verify_planes(self, where, column, row_count):
        """Section 8.3: factors are numbers (add may be infinite), and rows fill up the last block."""
        used, size = (row_count - 1) % BLOCK_ROWS + 1, self.index.block_bytes
        for at in range(0, len(column), size):
            factors = decode("f", column[at + self.width * 4:at + self.width * 4 + 260])
            self.verify_factors(where, zip(factors[:32], factors[32:64], [factors[64]] * 32))
        block = column[len(column) - size:]
        factors = decode("f", block[self.width * 4:])
        fits = all(value == math.inf for value in factors[used:32]) and not any(factors[32 + used:64])
        for place, byte in enumerate(block[:self.width * 4]):
            fits = fits and (place % 16 < used or byte & 15 == 0) and (16 + place % 16 < used or byte >> 4 == 0)
        need(fits, f"{where}: the last block of planes is not filled up as it must be")

    @staticmethod
    def verify_factors(where, factors):
        need(all(add > -math.inf and math.isfinite(multiply) and 0 <= error < math.inf
                 for add, multiply, error in factors), f"{where}: a factor of a code is not a number")


def is_replacing(lock):
    """Section 10: whether a build says that what stands at OUTPUT.replaced is the index it replaces."""
    try:
        with open(lock, encoding="utf-8") as file:
            return json.load(file).get("isReplacing") is True
    except (OSError, ValueError, AttributeError):
        return False


class Part:
    """A part of a packed file, to be read as a file."""

    def __init__(self, file, start, length):
        self.file, self.start, self.length, self.at, self.name = file, start, length, 0, file.name

    def seek(self, offset):
        self.at = offset

    def read(self, length):
        self.file.seek(self.start + self.at)
        data = self.file.read(max(0, min(length, self.length - self.at)))
        self.at += len(data)
        return data


class PackedIndex(Index):
    """Section 12: an open packed index, of one file or in a folder; `manifest`: the number of its manifest there."""

    def __init__(self, path, manifest=None):
        self.folder, self.fresh, self.deleted, self.patches = path, {}, {}, {}
        self.is_file = manifest is None
        self.file = open_regular(path if self.is_file else os.path.join(path, f"manifest-{manifest:06d}"))
        size = os.fstat(self.file.fileno()).st_size
        self.byte_length = size
        need(self.file.read(8) == PACKED_MAGIC, f"{path!r} is not a packed index", "ZGQ_NOT_AN_INDEX")
        page = read_at(self.file, 0, PAGE)
        need(zlib.crc32(page[:-4]) == int.from_bytes(page[-4:], "little"), "the header CRC does not fit")
        version = int.from_bytes(page[8:12], "little")
        need(version == VERSION, f"format version {version} is not known", "ZGQ_UNSUPPORTED")
        self.head = head = PACKED_HEADER.decode(page)
        need((head.header_byte_length, head.reader_features) == (PAGE, 0) and head.opened_byte_length <= 2**30,
             "a field of the header is not known", "ZGQ_UNSUPPORTED")
        need(head.opened_byte_length <= 64 * head.opening_byte_length + 65536, "the opening part cannot inflate to so much")
        opening = read_at(self.file, PAGE, head.opening_byte_length)
        need(zlib.crc32(opening) == head.opening_crc, "the CRC of the opening part does not fit")
        stream = zlib.decompressobj(-15)
        try:
            self.opened = stream.decompress(opening, head.opened_byte_length + 1)
        except zlib.error as error:
            raise ZgqError("ZGQ_CORRUPT", f"the opening part does not inflate: {error}") from None
        need(stream.eof and len(self.opened) == head.opened_byte_length, "the opening part inflates to another length")
        self.read_opened()
        starts, at = [], PAGE + head.opening_byte_length
        for part in self.parts:
            starts.append(pages(at) * PAGE)
            at = starts[-1] + part.byte_length
        if self.is_file:
            need(head.file_byte_length > 0, f"{path!r} is a manifest", "ZGQ_NOT_AN_INDEX")
            need(head.file_byte_length == pages(at) * PAGE, "the header says another length than the parts")
            need(size >= head.file_byte_length, f"{path!r} has {size} bytes of {head.file_byte_length}", "ZGQ_TRUNCATED")
            need(size == head.file_byte_length, f"{path!r} is longer than said")
        else:
            need(head.file_byte_length == 0, "the manifest is the head of a file")
        self.opened_parts = [self.open_part(number, start) for number, start in enumerate(starts)]
        self.read_centroids()
        self.verify_records()

    def read_opened(self):
        """Section 12.2."""
        need(len(self.opened) >= OPENED_LENGTHS.size, "the opening part has no lengths")
        counts = OPENED_LENGTHS.decode(self.opened)
        sizes = (counts.values_byte_length, counts.part_count * PART_RECORD.size, 4 * counts.centroid_page_count,
                 counts.zone_codes_byte_length, counts.file_count * FILE_RECORD.size, counts.segment_count * SEGMENT_RECORD.size)
        need(OPENED_LENGTHS.size + sum(sizes) == len(self.opened), "the lengths in the opening part do not fit")
        ends = list(itertools.accumulate(sizes, initial=OPENED_LENGTHS.size))
        values, parts, crcs, codes, files, segments = (self.opened[a:b] for a, b in zip(ends, ends[1:]))
        self.read_values(values)
        self.read_index()
        record = self.record
        block_count = -(-record.zone_count // BLOCK_ROWS) if self.bits > 0 else 0
        need(record.delta_zone_count == 0, "a packed index has zones of deltas")
        need((counts.part_count, counts.file_count, counts.segment_count, counts.centroid_page_count, len(codes))
             == (record.file_count + 1, record.file_count, record.segment_count,
                 pages(record.zone_count * self.dim * 4), block_count * self.block_bytes), "a count is another than the index says")
        need(all(getattr(self.head, name) == getattr(record, name) for name in ("version", "index_id", "generation", "commit"))
             and self.head.centroid_page_count == counts.centroid_page_count, "the header is of another index")
        changes = self.meta.get("changes", struct.pack("<8Q", 1, 0, 0, 0, 0, 0, 0, 0))
        need(len(changes) == CHANGES_RECORD.size, "the value changes is of a wrong length")
        self.changes = CHANGES_RECORD.decode(changes)
        need(self.changes.fresh_count == self.changes.deleted_count == self.changes.patch_count == 0, "a packed index has changes")
        self.parts = [PART_RECORD.decode(parts, at) for at in range(0, len(parts), PART_RECORD.size)]
        self.centroid_crcs, self.zone_codes = decode("I", crcs), [(record.zone_count, codes)] if codes else []
        self.files = self.numbered_records("files", FILE_RECORD, files, min(record.next_file, 2**32))
        self.segments = self.numbered_records("segments", SEGMENT_RECORD, segments, record.next_segment)
        lengths = [counts.centroid_page_count * PAGE, *(file.byte_length for file in self.files.values())]
        need([part.byte_length for part in self.parts] == lengths, "a part has another length than its record says")
        for file in self.files.values():
            need(file.kind in KIND_NAMES, f"file {file.file}: kind {file.kind} is not known", "ZGQ_UNSUPPORTED")

    def read_values(self, data):
        self.meta, at, last = {}, 0, b""
        while at < len(data):
            need(len(data) - at >= 8 and len(self.meta) < MOST_META_ROWS, "a value ends early, or there are too many")
            key_bytes, value_bytes = struct.unpack_from("<II", data, at)
            need(1 <= key_bytes <= MOST_KEY_BYTES and value_bytes <= MOST_VALUE_BYTES
                 and key_bytes + value_bytes <= len(data) - at - 8, "a key or a value is too long")
            key, at = data[at + 8:at + 8 + key_bytes], at + 8 + key_bytes
            need(key > last, "keys are out of order")
            self.meta[key.decode("latin-1")], at, last = data[at:at + value_bytes], at + value_bytes, key

    def numbered_records(self, table, layout, shuffled, end):
        """Section 12.2: puts shuffled records in order."""
        count, width, found = len(shuffled) // layout.size, layout.size, bytearray(len(shuffled))
        for word in range(0, width, 4):
            value = 0
            columns = [shuffled[(word + byte) * count:(word + byte + 1) * count] for byte in range(4)]
            for place, difference in enumerate(zip(*columns)):
                value = (value + int.from_bytes(bytes(difference), "little")) & 0xFFFFFFFF
                struct.pack_into("<I", found, place * width + word, value)
        first = int.from_bytes(found[:8], "little")
        return self.numbered(table, layout, [(first, count, bytes(found))] if count else [], end)

    def open_part(self, number, start):
        """The bytes of a part, as a file and how long that is."""
        part = self.parts[number]
        if self.is_file:
            return Part(self.file, start, part.byte_length), part.byte_length
        stem = "centroids" if number == 0 else self.name(list(self.files.values())[number - 1])[:-4]
        file = open_regular(os.path.join(self.folder, f"{stem}-{part.digest[:8].hex()}.zgq"))
        return file, os.fstat(file.fileno()).st_size

    def open_bytes(self, row):
        return self.opened_parts[1 + list(self.files).index(row.file)]

    def read_centroids(self):
        file, length = self.opened_parts[0]
        need(length >= self.parts[0].byte_length, "the part of the centroids ends early", "ZGQ_TRUNCATED")
        need(length == self.parts[0].byte_length, "the part of the centroids is longer than said")
        data, size = read_at(file, 0, length), 4 * self.dim
        need(all(zlib.crc32(data[page * PAGE:(page + 1) * PAGE]) == crc for page, crc in enumerate(self.centroid_crcs)),
             "the CRC of a page of centroids does not fit")
        need(is_finite(decode("f", data)), "a centroid is not finite")
        self.centroids = [data[at:at + size] for at in range(0, self.record.zone_count * size, size)]

    def verify_digests(self):
        """What a check verifies besides."""
        need(hashlib.sha256(self.opened).digest() == self.head.digest, "the digest of the head does not fit")
        for part, (file, _) in zip(self.parts, self.opened_parts):
            digest = hashlib.sha256()
            for at in range(0, part.byte_length, PIECE):
                digest.update(read_at(file, at, min(PIECE, part.byte_length - at)))
            need(digest.digest() == part.digest, "the digest of a part does not fit")


def highest_manifest(folder):
    """Section 12: the number of the manifest that counts; None: the folder is not a packed index."""
    if not os.path.isdir(folder) or os.path.lexists(os.path.join(folder, "catalogue.sqlite")):
        return None
    found = [name for name in os.listdir(folder) if re.fullmatch(r"manifest-\d{6,15}", name)]
    return max((number for number in map(int, (name[9:] for name in found)) if number > 0 and f"manifest-{number:06d}" in found), default=None)


def is_packed_file(path):
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(8) == PACKED_MAGIC


def open_index(path):
    """Section 12 for what is packed; else section 10: OUTPUT, else OUTPUT.replaced, else OUTPUT once more."""
    path = path.rstrip("/") or path
    if is_packed_file(path):
        return PackedIndex(path)
    if highest_manifest(path) is not None:
        return PackedIndex(path, highest_manifest(path))
    if not os.path.exists(path):
        try:
            if os.path.exists(path + ".replaced") and is_replacing(path + ".building/lock.json"):
                return Index(path + ".replaced")
        except (ZgqError, OSError):
            if not os.path.exists(path):
                raise
        need(os.path.exists(path), f"there is no {path!r}", "ZGQ_NOT_FOUND")
    return Index(path)


def unit(query):
    norm = math.sqrt(dot(query, query))
    return [value / norm for value in query]


def zone_distances(index, query):
    """Section 6: what zones are ordered by."""
    if index.metric == "cosine":
        query = unit(query)
    score = (lambda a, b: -dot(a, b)) if index.metric == "ip" else squared_distance
    return [score(query, decode("f", centroid)) for centroid in index.centroids[:index.record.zone_count]]


def probe_order(index, query):
    scores = zone_distances(index, query)
    return sorted(range(len(scores)), key=scores.__getitem__)  # stable: lower zone first


def true_distance(metric, query, x):
    """Section 6."""
    if metric == "l2":
        return squared_distance(query, x)
    if metric == "ip":
        return 0.0 - dot(query, x)  # never -0.0
    return max(0.0, 1 - dot(query, x) / math.sqrt(dot(query, query) * dot(x, x)))


def matches(index, segment, wanted):
    """For each row of a segment whether all fields equal what is wanted; a list does if one of its strings does."""
    fits = [True] * segment.row_count
    for name, value in wanted.items():
        for row, found in enumerate(index.field(segment, name)):
            fits[row] = fits[row] and is_match(index, name, found, value)
    for (number, row), payload in index.patches.items():
        if number == segment.segment:
            fits[row] = payload_matches(index, payload, wanted)
    return fits


def payload_matches(index, payload, wanted):
    """The same, by the payload of a row, which its fields come from."""
    return all(is_match(index, name, (payload or {}).get(name, MISSING), value) for name, value in wanted.items())


def is_match(index, name, found, value):
    if found is MISSING or found is None:
        return False
    if index.fields[name][1] == "string[]":
        return value in found
    is_number = index.fields[name][1] == "number"  # of a payload it may be an int
    return found == value and (type(found) is type(value) or is_number and type(found) in (int, float))


def search(index, queries, k, nprobe, wanted_fields=None):
    """For each query the k nearest (distance, id, (segment, row)); nprobe None reads every zone."""
    metric, best = index.metric, [[] for _ in queries]
    wanted = [range(len(queries)) if nprobe is None else [] for _ in index.centroids]
    if nprobe is not None:
        for number, query in enumerate(queries):
            for zone in probe_order(index, query)[:nprobe] + list(range(index.record.zone_count, len(wanted))):
                wanted[zone].append(number)
    for segment in index.segments.values():
        if not wanted[segment.zone]:
            continue
        ids, rows, _ = index.load(segment)
        fits = matches(index, segment, wanted_fields or {})
        found = {number: [] for number in wanted[segment.zone]}
        for place, (row, x) in enumerate(zip(ids, rows)):
            need(metric != "cosine" or any(x), f"segment {segment.segment}: the row with id {row} has no direction")
            for number, hits in found.items():
                if fits[place] and index.is_live(segment.segment, place):
                    hits.append((true_distance(metric, queries[number], x), row, (segment.segment, place)))
        for number, hits in found.items():
            best[number] = heapq.nsmallest(k, best[number] + hits)
    fresh = [(row_id, x) for row_id, (x, _, payload) in index.fresh.items()
             if payload_matches(index, payload, wanted_fields or {})]
    for number, query in enumerate(queries):
        hits = [(true_distance(metric, query, x), row_id, (None, row_id)) for row_id, x in fresh]
        best[number] = heapq.nsmallest(k, best[number] + hits)
    return best


def find(index, row_id):
    """Where an id is, as (segment, row, vector), of a fresh row (None, sequence, vector); None: nowhere."""
    if row_id in index.fresh:
        vector, sequence, _ = index.fresh[row_id]
        return None, sequence, vector.tolist()
    if index.ids_files:
        places = list(index.places_of(hash_of(row_id)))
        places += [(number, row) for number, segment in index.segments.items() if index.is_delta(segment)
                   for row in range(segment.row_count)]
    else:
        places = [(segment, row) for segment in index.segments for row in range(index.segments[segment].row_count)]
    for number, in_segment in itertools.groupby(places, lambda place: place[0]):
        ids, rows, _ = index.load(index.segments[number])
        for _, row in in_segment:
            if ids[row] == row_id and index.is_live(number, row):
                return number, row, next(itertools.islice(rows, row, None))
    return None


def readable(row_id):
    return row_id.decode("utf-8") if isinstance(row_id, bytes) else row_id


def read_id(text, index):
    """An id of the command line, of the type that the index has."""
    if index.id_kind == STRING_IDS:
        return text.encode("utf-8", "surrogateescape")
    need(text.isdecimal() and int(text) <= MAX_INTEGER, f"{text!r} is no integer id", "USAGE")
    return int(text)


def check_ids_files(index, expected):
    """Section 4.1: every row has its entry, by the hash of its id, in one of them; others are of segments that went."""
    entries = [entry for file in index.ids_files for entry in check_ids_file(index, file)]
    need(all(index.is_known(segment) for _, segment, _ in entries), "an ids file has an entry of a segment that never was")
    live = [entry for entry in entries if entry[1] in index.segments]
    need(sorted(live) == sorted(expected), "the ids files have other entries than the rows give")


def check_ids_file(index, file):
    """Section 4.1: inner pages say what the leaves begin with. Returns the entries of the leaves."""
    leaves, below = None, None
    for level, count in enumerate(levels_of(file.row_count)):
        found = [index.ids_page(file, level, number) for number in range(count)]
        entries = [entry for page in found for entry in page]
        if level == 0:
            leaves = entries
            need(all(a < b for a, b in zip(entries, entries[1:])), f"entries of {index.name(file)} are out of order")
        else:
            need(entries == below, f"level {level} of {index.name(file)} has other hashes than the pages below it begin with")
        below = [page[0] if level else page[0][0] for page in found]
    return leaves


def estimate(index, queries):
    """For each query every zone and every row of the index: their distances, and what codes say; of rows the ids too."""
    need(index.bits > 0, "the index has no codes", "USAGE")
    quantizer, asked = Quantizer(index), list(map(unit, queries)) if index.metric == "cosine" else queries
    found = [{"zones": [{"distance": distance, "planes": planes}
                        for distance, planes in zip(zone_distances(index, query), quantizer.zone_estimates(query))],
              "rows": []} for query in asked]
    for segment in index.segments.values():
        ids, rows, _ = index.load(segment)
        rows = list(rows)
        for query, answer, kinds in zip(queries, found, quantizer.estimates(segment, asked)):
            for place, (row, x) in enumerate(zip(ids, rows)):
                codes = {kind: pairs[place] for kind, pairs in kinds.items()}
                answer["rows"].append({"id": readable(row), "distance": true_distance(index.metric, query, x), **codes})
    return found


def read_queries(path, index):
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ZgqError("USAGE", f"{path!r}: {error.strerror}") from None
    count, dim = struct.unpack_from("<II", data.ljust(8, b"\0"))
    need(len(data) == 8 + count * dim * 4, f"{path!r} is not an .fbin file", "USAGE")
    need(dim == index.dim, f"{path!r} has dim {dim}, the index has {index.dim}", "USAGE")
    values = decode("f", data[8:])
    need(all(map(math.isfinite, values)), f"{path!r} has values that are not finite", "USAGE")
    queries = [values[at:at + dim].tolist() for at in range(0, len(values), dim)]
    need(index.metric != "cosine" or all(map(any, queries)), f"{path!r} has a query without direction", "USAGE")
    return queries


def check(index):
    if isinstance(index, PackedIndex):
        index.verify_digests()
    if "build" in index.meta:
        check_build(index.meta["build"])
    if "note" in index.meta:
        need("note" in read_map(index.meta["note"], "meta note"), "meta note has no key note")
    quantizer, seen, at, entries = Quantizer(index), set(), 0, []
    for count, blocks in index.zone_codes:
        quantizer.verify_planes(f"codes of zones from {at}", blocks, count)
        at += count
    for segment in index.segments.values():
        where = f"segment {segment.segment}"
        ids, rows, columns = index.load(segment)
        live = [row_id for row, row_id in enumerate(ids) if index.is_live(segment.segment, row)]
        need(len(set(live)) == len(live) and seen.isdisjoint(live), f"{where}: an id is repeated")
        seen.update(live)
        if index.ids_files and not index.is_delta(segment):
            entries += [(hash_of(row_id), segment.segment, row) for row, row_id in enumerate(ids)]
        norms = [math.sqrt(dot(x, x)) for x in rows]
        fits = [math.isclose(min(norms), segment.min_norm, rel_tol=1e-6),
                math.isclose(max(norms), segment.max_norm, rel_tol=1e-6)]
        if index.metric == "cosine":
            inverses = decode("f", columns[INVERSE_NORMS])
            fits += [norm > 0 and (math.isclose(inverse, 1 / norm, rel_tol=1e-6, abs_tol=1e-44)
                                   or inverse == math.inf and 1 / norm > 3.4028235e38)
                     for norm, inverse in zip(norms, inverses)]
        if index.bits > 0:
            codes = index.codes(segment)
            fits += [codes[kind] == columns[kind] for kind in (IDS, PAGE_CRCS) if kind in codes]
            quantizer.verify_planes(where, codes[PLANES], segment.row_count)
            if index.bits > 1:
                quantizer.verify_factors(where, (row[1:] for row in quantizer.refined_rows(codes[REFINED_CODES])))
        need(all(fits), f"{where}: norms, inverse norms or codes do not fit the rows")
        check_documents(index, segment)
    for file in index.files.values():
        if file.kind in (VECTORS, DELTA):
            check_directory(index, file)
    if index.ids_files:
        check_ids_files(index, entries)
    need(seen.isdisjoint(index.fresh) and len(index.fresh) == index.changes.fresh_count, "fresh: an id is repeated")
    seen.update(index.fresh)
    return {"ok": True, "count": len(seen), "zones": index.record.zone_count, "files": len(index.files)}


def check_documents(index, segment):
    """Sections 4.2 and 4.3: every payload can be read, and the fields have what the payloads have."""
    payload, fields = index.payloads(segment), {name: index.field(segment, name) for name in index.fields}
    for row in range(segment.row_count):
        own = payload(row) or {}
        for name, values in fields.items():
            expected, found = own.get(name, MISSING), values[row]
            is_number = index.fields[name][1] == "number" and type(expected) in (int, float)
            need(expected is found or expected == found and (is_number or type(expected) is type(found)),
                 f"segment {segment.segment}: field {name!r} of row {row} is another one than in the payload")


def check_directory(index, row):
    """Section 5: the directory has the segments that the catalogue has in this file, and may have others."""
    name, file = index.name(row), index.handles[row.file]
    data = read_at(file, row.byte_length - FOOTER.size, FOOTER.size)
    need(zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little"), f"{name}: the footer CRC does not fit")
    footer = FOOTER.decode(data)
    need(footer.version == VERSION, f"{name}: footer version {footer.version} is not known", "ZGQ_UNSUPPORTED")
    need(footer.index_id == index.record.index_id, f"{name}: the footer is of another index", "ZGQ_MISMATCH")
    start, length = footer.directory_offset, footer.directory_byte_length
    centroid_bytes = index.dim * 4
    size = DIRECTORY_ENTRY.size + -(-centroid_bytes // 8) * 8
    need((footer.magic, footer.segment_count, start % PAGE) == (magic_of(row.kind), row.segment_count, 0)
         and length == footer.segment_count * size + footer.superseded_count * 8
         and PAGE <= start and pages(start + length + FOOTER.size) * PAGE == row.byte_length,
         f"{name}: a field of the footer is out of range")
    need(crc_of(file, start, length) == footer.directory_crc, f"{name}: the directory CRC does not fit")
    missing = {segment.segment for segment in index.segments.values() if segment.rows_file == row.file}
    last = 0
    for number in range(footer.segment_count):
        data = read_at(file, start + number * size, size)
        entry = DIRECTORY_ENTRY.decode(data)
        if entry.segment in missing:  # others were superseded
            missing.remove(entry.segment)
            segment = index.segments[entry.segment]
            named = [field for field in entry._fields if field not in ("zone", "reserved")]
            need(entry.rows_offset > last, f"{name}: the directory is not in file order")
            need(all(getattr(entry, field) == getattr(segment, field) for field in named)
                 and data[DIRECTORY_ENTRY.size:] == index.centroids[segment.zone] + bytes(-centroid_bytes % 8),
                 f"{name}: the directory says other things of segment {entry.segment} than the catalogue")
            last = entry.rows_offset
    need(not missing, f"{name}: the directory does not have all segments")
    for at in range(start + footer.segment_count * size, start + length, 8):
        need(int.from_bytes(read_at(file, at, 8), "little") not in index.segments,
             f"{name}: the directory says that a segment of the catalogue was superseded")


def check_filter(index, wanted):
    """A map from names of fields to the values that they must equal."""
    types = {"string": (str,), "string[]": (str,), "boolean": (bool,), "number": (int, float)}
    need(type(wanted) is dict, "a filter is a JSON object", "USAGE")
    for name, value in wanted.items():
        need(name in index.fields, f"there is no field {name!r}", "USAGE")
        need(type(value) in types[index.fields[name][1]], f"field {name!r} is of type {index.fields[name][1]}", "USAGE")
        if type(value) is int:
            wanted[name] = float(value)


def hit_of(index, hit, has_payload):
    distance, row_id, place = hit
    found = {"id": readable(row_id), "distance": distance}
    return {**found, "payload": index.payload_of(place)} if has_payload else found


def as_json(value):
    """What JSON has no words for."""
    return {"bytes": list(value)}


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="reader.py", description="Search or check a ZGQ index.")
    parser.add_argument("index", metavar="INDEX")
    parser.add_argument("queries", metavar="QUERIES.fbin", nargs="?")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--filter", metavar="JSON", type=json.loads, default={})
    parser.add_argument("--payload", action="store_true")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--nprobe", type=int)
    how.add_argument("--exact", action="store_true")
    how.add_argument("--check", action="store_true")
    how.add_argument("--estimates", action="store_true")
    how.add_argument("--id", metavar="ID")
    options = parser.parse_args(arguments)
    if (options.check or options.id is not None) != (options.queries is None):
        parser.error("give QUERIES.fbin, --check or --id")
    if options.k < 0 or (options.nprobe is not None and options.nprobe < 1):
        parser.error("--k is at least 0 and --nprobe at least 1")
    try:
        index = open_index(options.index)
        if options.check:
            result = check(index)
        elif options.id is not None:
            result = {"id": options.id, "found": None}
            found = find(index, read_id(options.id, index))
            if found:
                result["found"] = dict(zip(("segment", "row", "vector"), found))
        elif options.estimates:
            found = estimate(index, read_queries(options.queries, index))
            result = {"bits": index.bits, "metric": index.metric, "queries": found}
        else:
            check_filter(index, options.filter)
            found = search(index, read_queries(options.queries, index), options.k, options.nprobe, options.filter)
            queries = [{"hits": [hit_of(index, hit, options.payload) for hit in hits]} for hits in found]
            result = {"k": options.k, "nprobe": options.nprobe, "exact": options.nprobe is None, "queries": queries}
    except (ZgqError, OSError) as error:
        code = getattr(error, "code", "ZGQ_CORRUPT")
        if code == "USAGE":
            parser.error(str(error))
        print(printable(f"reader: {code}: {' '.join(str(error).split())}"), file=sys.stderr)
        return 1
    print(json.dumps(result, default=as_json))
    return 0


if __name__ == "__main__":
    sys.exit(main())
