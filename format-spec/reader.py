"""A second reader of the ZGQ vector index, written from README.md beside it alone.

    python3 reader.py INDEX QUERIES.fbin [--k 10] [--nprobe N | --exact]
    python3 reader.py --check INDEX
    python3 reader.py --estimates INDEX QUERIES.fbin

Searches read the float32 rows. --estimates prints what the codes say of every row, beside its true distance.

It needs Python 3.9 and the standard library. The answer is one JSON object on standard output;
a rejected index is exit 1 and one line on standard error, wrong usage is exit 2.
"""
import argparse
import hashlib
import heapq
import io
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
PIECE = 2**20  # what is read at a time, and the longest value of the catalogue
VERSION = 1
MAGICS = {"vectors": b"ZGQ\r\n\x1a\nV", "codes": b"ZGQ\r\n\x1a\nC"}
APPLICATION_ID = b"ZGQ1"
METRICS = {"l2": 1, "cosine": 2, "ip": 3}
IDS, INVERSE_NORMS, PAGE_CRCS, SIGNS, REFINED_CODES = 1, 2, 3, 16, 17
BLOCK_ROWS = 32
HEADER = struct.Struct("<8sIIQQ16sQQQIIQQQQ")
COLUMNS_HEADER = struct.Struct("<4sIQQ")
COLUMN_ENTRY = struct.Struct("<IIQQII")
DIRECTORY_ENTRY = struct.Struct("<QQQQQQdddII")
FOOTER = struct.Struct("<QQQ16sII8sII")
TABLES = {  # section 7: the columns of each table and their types, in the order of its definition
    "meta": {"key": str, "value": bytes, "crc": int},
    "files": {"file": int, "kind": str, "name": str, "byte_length": int, "header_crc": int, "crc": int},
    "zones": {"zone": int, "segment": int, "file": int, "row_count": int, "segment_offset": int,
              "columns_offset": int, "columns_byte_length": int, "columns_crc": int, "codes_file": int,
              "codes_offset": int, "codes_byte_length": int, "codes_crc": int, "min_norm": float, "max_norm": float,
              "radius": float, "crc": int},
    "centroids": {"first_zone": int, "zone_count": int, "vectors": bytes, "crc": int},
}
MOST_META_ROWS, MOST_KEY_BYTES, MOST_COLUMNS, MOST_ROUNDS, MOST_ROWS = 16, 64, 64, 16, 2**31 - 1
MOST_ITEMS = 8192  # of a value of meta: entries of all its maps and elements of all its lists


def schema():
    """Section 7: the rows of sqlite_schema, to the letter."""
    types = {int: "INTEGER", float: "REAL", str: "TEXT", bytes: "BLOB"}
    rows = {("index", "sqlite_autoindex_zones_1", "zones", None)}
    for table, columns in TABLES.items():
        lines = []
        for place, (name, kind) in enumerate(columns.items()):
            rule = " PRIMARY KEY" if place == 0 else " NOT NULL UNIQUE" if name == "segment" else " NOT NULL"
            lines.append(f"  {name} {types[kind]}{rule}")
        end = "\n) WITHOUT ROWID" if table == "meta" else "\n)"
        rows.add(("table", table, table, f"CREATE TABLE {table} (\n" + ",\n".join(lines) + end))
    return rows


class ZgqError(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def need(condition, message, code="ZGQ_CORRUPT"):
    if not condition:
        raise ZgqError(code, message)


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
        raise ValueError(f"more than {MOST_ITEMS} items")
    if kind is list:
        return [unpack(stream, left, depth + 1) for _ in range(size)]
    pairs = [(unpack(stream, left, depth + 1), unpack(stream, left, depth + 1)) for _ in range(size)]
    if not all(type(key) is str for key, _ in pairs) or len(dict(pairs)) < size:
        raise ValueError("a key is repeated or not a string")
    return dict(pairs)


def unpack_map(name, data):
    stream = io.BytesIO(data)
    try:
        value = unpack(stream, [MOST_ITEMS])
    except (ValueError, struct.error) as error:
        raise ZgqError("ZGQ_CORRUPT", f"meta {name!r} is not MessagePack: {error}") from None
    need(type(value) is dict and stream.tell() == len(data), f"meta {name!r} is not one map")
    return value


def field(values, key, kind, low=0, high=MAX_INTEGER):
    """values[key], of the type given; an integer may be written as a float64."""
    value = values.get(key)
    if kind is int and type(value) is float and value.is_integer():
        value = int(value)
    need(type(value) is kind, f"meta index: {key} is missing or of a wrong type")
    need(kind is not int or low <= value <= high, f"meta index: {key} is out of range")
    return value


def row_crc(values):
    crc = 0
    for value in values:
        if type(value) in (int, float):
            data = struct.pack("<q" if type(value) is int else "<d", value)
        else:
            data = value.encode("utf-8") if type(value) is str else value
            data = struct.pack("<I", len(data)) + data
        crc = zlib.crc32(data, crc)
    return crc


def read_table(connection, table):
    columns, rows = TABLES[table], []
    row_type = namedtuple(table, columns)
    for number, values in enumerate(connection.execute(f"SELECT {','.join(columns)} FROM {table} ORDER BY 1")):
        for (name, kind), value in zip(columns.items(), values):
            need(type(value) is kind and (kind is not int or 0 <= value <= MAX_INTEGER),
                 f"{table}, row {number}: {name} is of a wrong type or out of range")
            need(type(value) not in (bytes, str) or len(value) <= PIECE, f"{table}, row {number}: {name} is too long")
        need(table != "meta" or (number < MOST_META_ROWS and len(values[0].encode()) <= MOST_KEY_BYTES),
             "meta has too many rows or too long a key")
        need(row_crc(values[:-1]) == values[-1], f"{table}, row {number}: the row CRC does not fit")
        need(table == "meta" or values[0] == number, f"{table} has no row {number}")
        rows.append(row_type(*values))
    return rows


def check_calibration(values, zone_count):
    """Section 7.1."""
    def number(of, key, low, high):
        value = of.get(key)
        need(type(value) in (int, float) and low <= value <= high, f"calibration: {key} is out of range")
        return value

    def items(of, key, most):
        found = of.get(key)
        need(type(found) is list and 0 < len(found) <= most and all(type(item) is dict for item in found),
             f"calibration: {key} is not a list of maps, or too long")
        return found

    recalls = 0.001, 1 - 2**-52
    need(values.get("source") in ("base", "queries"), "calibration: source is not known")
    number(values, "queries", 1, MAX_INTEGER)
    number(values, "confidence", 0, 1)
    number(values, "highestRecall", *recalls)
    number(values, "scale", 0, sys.float_info.max)
    last_k = 0
    for curve in items(values, "curves", 64):
        k = number(curve, "k", last_k + 1, MAX_INTEGER)
        need(k == int(k), "calibration: k is not an integer")
        last_k, last_recall, last_threshold = k, 0, 0
        for point in items(curve, "points", 256):
            recall = number(point, "recall", *recalls)
            last_threshold = number(point, "threshold", last_threshold, sys.float_info.max)
            need(recall > last_recall, "calibration: points are not in order of recall")
            last_recall = recall
            number(point, "mean", 0, 1)
            number(point, "zones", 1, zone_count)
            if "trust" in point:
                number(point, "trust", 0, 100)


class Index:
    """An open index: the catalogue is read and verified, every data file is open and its header verified."""

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
                self.stand_guard(connection, os.path.getsize(path))
                self.meta = {row.key: row.value for row in read_table(connection, "meta")}
                self.read_index()
                self.files, self.zones, self.centroid_rows = (
                    read_table(connection, table) for table in ("files", "zones", "centroids"))
            finally:
                connection.close()
        except (sqlite3.Error, sqlite3.Warning, UnicodeDecodeError, OverflowError) as error:  # the message of SQLite may quote damaged text
            code = "ZGQ_NOT_AN_INDEX" if "not a database" in str(error) else "ZGQ_CORRUPT"
            raise ZgqError(code, f"{path!r}: {error}") from None
        self.verify_rows()
        self.handles = [self.open_file(file) for file in self.files]

    @staticmethod
    def stand_guard(connection, size):
        """Section 11.1: nothing in the file is trusted before its schema is ours, and nothing in it may go on for ever."""
        steps = [200 + 3 * size // 10_000]

        def is_enough():
            steps[0] -= 1
            return steps[0] < 0
        connection.set_progress_handler(is_enough, 10_000)
        if hasattr(connection, "setlimit"):  # Python 3.11
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2 * PIECE)
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "query_only = ON"):
            connection.execute("PRAGMA " + pragma)
        expected = schema()
        found = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema LIMIT 9").fetchall()
        need(len(found) == len(expected) and set(found) == expected, "the schema of the catalogue is another one")

    def read_index(self):
        need("index" in self.meta, "meta has no key index")
        known = ("index", "build", "quantizer", "calibration")
        maps = {key: unpack_map(key, self.meta[key]) for key in known if key in self.meta}
        values = maps["index"]
        for key, known in (("version", (VERSION,)), ("readerFeatures", (0,)), ("bits", (0, 1, 2, 4))):
            number = field(values, key, int, 0, 2**64 - 1)
            need(number in known, f"{key} {number} is not known", "ZGQ_UNSUPPORTED")
        element = field(values, "elementType", str)
        need(element == "float32", f"elementType {element!r} is not known", "ZGQ_UNSUPPORTED")
        field(values, "writerFeatures", int, 0, 2**64 - 1)
        self.generation, self.count, self.zone_count, self.file_count = (
            field(values, key, int) for key in ("generation", "count", "zoneCount", "fileCount"))
        self.bits = field(values, "bits", int)
        self.dim = field(values, "dim", int, 1, 65536)
        self.width = -(-self.dim // 16) * 16
        self.metric = field(values, "metric", str)
        self.id, self.digest = field(values, "indexId", bytes), field(values, "digest", bytes)
        need(self.metric in METRICS, f"metric {self.metric!r} is not known")
        need(len(self.id) == 16 and len(self.digest) == 32, "indexId or digest is of a wrong length")
        if "calibration" in maps:
            check_calibration(maps["calibration"], self.zone_count)
        if self.bits > 0:
            self.read_quantizer()

    def read_quantizer(self):
        """Section 8.1: the signs of each round as +1 and -1, and the origin of rotated vectors."""
        need("quantizer" in self.meta, "meta has no key quantizer")
        values = unpack_map("quantizer", self.meta["quantizer"])
        signs, mean = field(values, "signs", bytes), field(values, "mean", bytes)
        size = self.width // 8
        need(0 < len(signs) <= MOST_ROUNDS * size and len(signs) % size == 0 and len(mean) == 4 * self.dim,
             "quantizer: signs or mean is of a wrong length")
        self.mean = decode("f", mean).tolist()
        need(all(map(math.isfinite, self.mean)), "quantizer: mean is not finite")
        bits = [-1 if byte >> bit & 1 else 1 for byte in signs for bit in range(8)]
        self.signs = [bits[at:at + self.width] for at in range(0, len(bits), self.width)]

    def verify_rows(self):
        need((len(self.files), len(self.zones), sum(row.row_count for row in self.zones))
             == (self.file_count, self.zone_count, self.count), "fileCount, zoneCount or count is wrong")
        crcs = [row.crc for row in self.files + self.zones + self.centroid_rows]
        digest = hashlib.sha256(struct.pack(f"<{len(crcs)}I", *crcs)).digest()
        need(digest == self.digest, "the digest does not fit the rows of the catalogue")
        vectors_files = sum(row.kind == "vectors" for row in self.files)
        for row in self.files:
            kind = "vectors" if row.file < vectors_files else "codes"
            need(kind == "vectors" or self.bits > 0, f"file {row.file} holds codes of an index without")
            name = f"{kind}-{self.generation:06d}-{self.shard(row):05d}.zgq"
            need((row.kind, row.name) == (kind, name), f"file {row.file} is not {kind} file {name}")
        for row in self.zones:
            where = f"zone {row.zone}"
            need(row.file < vectors_files and 1 <= row.row_count <= MOST_ROWS, f"{where}: file or row_count is out of range")
            need(self.bits == 0 or vectors_files <= row.codes_file < self.file_count, f"{where}: codes_file is out of range")
            need(0 <= row.min_norm <= row.max_norm < math.inf and 0 <= row.radius < math.inf,
                 f"{where}: a norm or the radius is out of range")
            need(row.columns_byte_length >= 88 + 8 * row.row_count + 4 * pages(row.row_count * self.dim * 4),
                 f"{where}: the columns are too short")
            need(self.bits == 0 or row.codes_byte_length >= 120 + 8 * row.row_count, f"{where}: the codes are too short")
        need(self.count > 0, "the index is empty")
        for row in self.files:
            self.verify_layout(row)
        need(len({row.segment for row in self.zones}) == self.zone_count, "a segment number is repeated")
        self.centroids = []
        for row in self.centroid_rows:
            need(row.first_zone == len(self.centroids) and len(row.vectors) == row.zone_count * self.dim * 4 > 0,
                 f"centroids from zone {row.first_zone}: a gap, or a wrong length")
            size = 4 * self.dim
            self.centroids += [row.vectors[i:i + size] for i in range(0, len(row.vectors), size)]
        need(len(self.centroids) == self.zone_count, "centroids are missing")
        need(all(map(math.isfinite, decode("f", b"".join(self.centroids)))), "a centroid is not finite")

    def verify_layout(self, row):
        """Every extent is on the page after the last page of what is before it, and so is the end of the file."""
        at = PAGE
        if row.kind == "vectors":
            zones = [zone for zone in self.zones if zone.file == row.file]
            extents = [(zone.segment_offset, zone.row_count * self.dim * 4) for zone in zones]
            extents += [(zone.columns_offset, zone.columns_byte_length) for zone in zones]
            tail = len(zones) * (DIRECTORY_ENTRY.size + -(-self.dim * 4 // 8) * 8) + FOOTER.size
        else:
            extents = [(zone.codes_offset, zone.codes_byte_length) for zone in self.zones if zone.codes_file == row.file]
            tail = 0
        for offset, length in extents:
            need(offset == at, f"{row.name}: an extent is at {offset}, not at {at}")
            at += pages(length) * PAGE
        need(row.byte_length == at + pages(tail) * PAGE, f"{row.name}: byte_length is out of range")

    def shard(self, row):
        return row.file - sum(other.kind != row.kind for other in self.files[:row.file])

    def open_file(self, row):
        path = os.path.join(self.folder, row.name)
        file = open_regular(path)
        page = read_at(file, 0, PAGE)
        crc = int.from_bytes(page[-4:], "little")
        need(zlib.crc32(page[:-4]) == crc, f"{row.name}: the header CRC does not fit")
        (magic, version, header_length, features, _, index_id, generation, shard, dim, element, metric,
         alignment, byte_length, zone_count, row_count) = HEADER.unpack_from(page)
        need((magic, header_length, alignment) == (MAGICS[row.kind], PAGE, PAGE),
             f"{row.name} is not a {row.kind} file")
        need((version, features, element) == (VERSION, 0, 1),
             f"{row.name}: version, readerFeatures or elementType is not known", "ZGQ_UNSUPPORTED")
        need((index_id, generation, shard, dim, metric)
             == (self.id, self.generation, self.shard(row), self.dim, METRICS[self.metric]),
             f"{row.name} belongs to another index or place", "ZGQ_MISMATCH")
        rows = [zone.row_count for zone in self.zones
                if row.file == (zone.file if row.kind == "vectors" else zone.codes_file)]
        need((crc, byte_length, zone_count, row_count) == (row.header_crc, row.byte_length, len(rows), sum(rows)),
             f"{row.name}: the header does not agree with the catalogue")
        size = os.fstat(file.fileno()).st_size
        need(size >= row.byte_length, f"{row.name} has {size} bytes of {row.byte_length}", "ZGQ_TRUNCATED")
        need(size == row.byte_length, f"{row.name} has {size} bytes, {row.byte_length} are said")
        return file

    def expected_columns(self, zone):
        """Kinds and lengths that a columns extent has at least, beside rows and beside codes."""
        return {IDS: 8 * zone.row_count, PAGE_CRCS: 4 * pages(zone.row_count * self.dim * 4)}

    def columns(self, zone, everything):
        """The columns beside the rows of a zone by kind, as bytes (section 4)."""
        expected = self.expected_columns(zone)
        if self.metric == "cosine":
            expected[INVERSE_NORMS] = 4 * zone.row_count
        place = zone.file, zone.columns_offset, zone.columns_byte_length, zone.columns_crc
        return self.extent(zone, place, expected, everything)

    def codes(self, zone, everything=False):
        """The columns of the codes of a zone (section 8.3)."""
        expected = self.expected_columns(zone)
        expected[SIGNS] = -(-zone.row_count // BLOCK_ROWS) * (self.width * 4 + 272)
        if self.bits > 1:
            expected[REFINED_CODES] = zone.row_count * (12 + self.width * self.bits // 8)
        place = zone.codes_file, zone.codes_offset, zone.codes_byte_length, zone.codes_crc
        return self.extent(zone, place, expected, everything)

    def extent(self, zone, place, expected, everything):
        number, start, byte_length, header_crc = place
        where, file = f"zone {zone.zone}: columns in {self.files[number].name}", self.handles[number]
        need(byte_length >= COLUMNS_HEADER.size, f"{where}: the extent is too short")
        head = read_at(file, start, COLUMNS_HEADER.size)
        magic, column_count, segment, row_count = COLUMNS_HEADER.unpack(head)
        length = COLUMNS_HEADER.size + COLUMN_ENTRY.size * column_count
        need(column_count <= MOST_COLUMNS and length <= byte_length, f"{where}: too many columns")
        head = read_at(file, start, length)
        need(zlib.crc32(head) == header_crc, f"{where}: the CRC of the header does not fit")
        need((magic, segment, row_count) == (b"ZCOL", zone.segment, zone.row_count), f"{where}: not of this segment")
        columns, last, end = {}, -1, length
        for kind, flags, offset, size, crc, _ in COLUMN_ENTRY.iter_unpack(head[COLUMNS_HEADER.size:]):
            need(kind > last, f"{where}: kinds are not in ascending order")
            need(offset % 64 == 0 and end <= offset <= byte_length - size, f"{where}: kind {kind} is out of range")
            end = offset + size
            need(kind in expected or not flags & 1, f"{where}: required kind {kind} is not known", "ZGQ_UNSUPPORTED")
            if kind in expected:
                need(size == expected[kind], f"{where}: kind {kind} is of a wrong length")
                columns[kind] = read_at(file, start + offset, size)
                need(zlib.crc32(columns[kind]) == crc, f"{where}: the CRC of kind {kind} does not fit")
            elif everything:
                need(crc_of(file, start + offset, size) == crc, f"{where}: the CRC of kind {kind} does not fit")
            last = kind
        need(len(columns) == len(expected), f"{where}: a column is missing")
        ids = decode("Q", columns[IDS])
        need(all(map(lt, ids, ids[1:])) and ids[-1] <= MAX_INTEGER, f"{where}: ids are out of order or range")
        return columns

    def load(self, zone, everything=False):
        """The ids of a zone, an iterator over its rows, and its columns; every page is verified."""
        columns = self.columns(zone, everything)
        return decode("Q", columns[IDS]), self.rows(zone, decode("I", columns[PAGE_CRCS])), columns

    def rows(self, zone, crcs):
        """The rows of a zone, some pages at a time."""
        length, size, rest = zone.row_count * self.dim * 4, self.dim * 4, b""
        for first in range(0, len(crcs), PIECE // PAGE):
            some = crcs[first:first + PIECE // PAGE]
            data = read_at(self.handles[zone.file], zone.segment_offset + first * PAGE, len(some) * PAGE)
            for page, crc in enumerate(some):
                need(zlib.crc32(data[page * PAGE:(page + 1) * PAGE]) == crc,
                     f"zone {zone.zone}: the CRC of page {first + page} does not fit")
            data = rest + data[:length - first * PAGE]
            whole = len(data) // size * size
            values, rest = decode("f", data[:whole]), data[whole:]
            need(is_finite(values), f"zone {zone.zone}: a value is not finite")
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
        for number, signs in enumerate(self.index.signs):
            values = list(map(mul, values, signs))
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

    def sign_rows(self, column, row_count):
        """For each row its levels, add, multiply and error; the error is the largest of the block's. Section 8.3."""
        width, size = self.width, self.width * 4 + 272
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

    def estimates(self, zone, queries):
        """For each kind of codes, and each query, the pairs (estimate, standard deviation) of all rows. Section 8.2."""
        index, columns = self.index, self.index.codes(zone)
        centroid = decode("f", index.centroids[zone.zone])
        kinds = {"signs": list(self.sign_rows(columns[SIGNS], zone.row_count))}
        if index.bits > 1:
            kinds["refined"] = list(self.refined_rows(columns[REFINED_CODES]))
        for query in queries:
            rotated = self.rotate(map(sub, query, index.mean))
            distance2 = squared_distance(query, centroid)
            base = {"l2": distance2, "cosine": distance2 / 2, "ip": -dot(query, centroid)}[index.metric]
            yield {kind: [(base + add - multiply * dot(levels, rotated), error * math.sqrt(distance2))
                          for levels, add, multiply, error in rows] for kind, rows in kinds.items()}

    def verify_blocks(self, zone, column):
        """Section 8.3: rows that fill up the last block."""
        used, size = (zone.row_count - 1) % BLOCK_ROWS + 1, self.width * 4 + 272
        block = column[len(column) - size:]
        factors = decode("f", block[self.width * 4:])
        fits = all(value == math.inf for value in factors[used:32]) and not any(factors[32 + used:64])
        for place, byte in enumerate(block[:self.width * 4]):
            fits = fits and (place % 16 < used or byte & 15 == 0) and (16 + place % 16 < used or byte >> 4 == 0)
        need(fits, f"zone {zone.zone}: the last block of signs is not filled up as it must be")

    def verify_factors(self, zone, codes):
        """Section 8.2: factors are numbers; add may be infinite."""
        rows = list(self.sign_rows(codes[SIGNS], zone.row_count))
        rows += self.refined_rows(codes[REFINED_CODES]) if self.index.bits > 1 else []
        need(all(add > -math.inf and math.isfinite(multiply) and 0 <= abs(error) < math.inf
                 for _, add, multiply, error in rows), f"zone {zone.zone}: a factor of a code is not a number")


def is_replacing(lock):
    """Section 10: whether a build says that what stands at OUTPUT.replaced is the index it replaces."""
    try:
        with open(lock, encoding="utf-8") as file:
            return json.load(file).get("isReplacing") is True
    except (OSError, ValueError, AttributeError):
        return False


def open_index(path):
    """Section 10: OUTPUT, else OUTPUT.replaced, else OUTPUT once more."""
    path = path.rstrip("/") or path
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


def probe_order(index, query):
    if index.metric == "cosine":
        query = unit(query)
    score = (lambda a, b: -dot(a, b)) if index.metric == "ip" else squared_distance
    scores = [score(query, decode("f", centroid)) for centroid in index.centroids]
    return sorted(range(len(scores)), key=scores.__getitem__)  # stable: lower zone first


def true_distance(metric, query, x):
    """Section 6."""
    if metric == "l2":
        return squared_distance(query, x)
    if metric == "ip":
        return 0.0 - dot(query, x)  # never -0.0
    return max(0.0, 1 - dot(query, x) / math.sqrt(dot(query, query) * dot(x, x)))


def search(index, queries, k, nprobe):
    """For each query the k nearest (distance, id); nprobe None reads every zone."""
    metric, best = index.metric, [[] for _ in queries]
    wanted = [range(len(queries)) if nprobe is None else [] for _ in index.zones]
    if nprobe is not None:
        for number, query in enumerate(queries):
            for zone in probe_order(index, query)[:nprobe]:
                wanted[zone].append(number)
    for zone, numbers in zip(index.zones, wanted):
        if not numbers:
            continue
        ids, rows, _ = index.load(zone)
        found = {number: [] for number in numbers}
        for row, x in zip(ids, rows):
            need(metric != "cosine" or any(x), f"zone {zone.zone}: the row with id {row} has no direction")
            for number, hits in found.items():
                hits.append((true_distance(metric, queries[number], x), row))
        for number, hits in found.items():
            best[number] = heapq.nsmallest(k, best[number] + hits)
    return best


def estimate(index, queries):
    """For each query every row of the index: its id, its distance, and what its codes say."""
    need(index.bits > 0, "the index has no codes", "USAGE")
    quantizer, rows_of = Quantizer(index), [[] for _ in queries]
    asked = list(map(unit, queries)) if index.metric == "cosine" else queries
    for zone in index.zones:
        ids, rows, _ = index.load(zone)
        rows = list(rows)
        for query, found, kinds in zip(queries, rows_of, quantizer.estimates(zone, asked)):
            for place, (row, x) in enumerate(zip(ids, rows)):
                codes = {kind: pairs[place] for kind, pairs in kinds.items()}
                found.append({"id": row, "distance": true_distance(index.metric, query, x), **codes})
    return rows_of


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
    seen = set()
    for zone in index.zones:
        ids, rows, columns = index.load(zone, everything=True)
        need(seen.isdisjoint(ids), f"zone {zone.zone}: an id is repeated")
        seen.update(ids)
        norms = [math.sqrt(dot(x, x)) for x in rows]
        fits = [math.isclose(min(norms), zone.min_norm, rel_tol=1e-6),
                math.isclose(max(norms), zone.max_norm, rel_tol=1e-6)]
        if index.metric == "cosine":
            inverses = decode("f", columns[INVERSE_NORMS])
            fits += [norm > 0 and (math.isclose(inverse, 1 / norm, rel_tol=1e-6, abs_tol=1e-44)
                                   or inverse == math.inf and 1 / norm > 3.4028235e38)
                     for norm, inverse in zip(norms, inverses)]
        if index.bits > 0:
            codes = index.codes(zone, everything=True)
            fits += [codes[kind] == columns[kind] for kind in (IDS, PAGE_CRCS)]
            Quantizer(index).verify_blocks(zone, codes[SIGNS])
            Quantizer(index).verify_factors(zone, codes)
        need(all(fits), f"zone {zone.zone}: norms, inverse norms or codes do not fit the rows")
    for row, file in zip(index.files, index.handles):
        if row.kind == "vectors":
            check_directory(index, row, file)
    return {"ok": True, "count": len(seen), "zones": index.zone_count, "files": index.file_count}


def check_directory(index, row, file):
    """Section 5, and the order of the extents of section 1."""
    page = read_at(file, row.byte_length - FOOTER.size, FOOTER.size)
    start, length, zone_count, index_id, directory_crc, _, magic, version, crc = FOOTER.unpack(page)
    need(zlib.crc32(page[:-4]) == crc, f"{row.name}: the footer CRC does not fit")
    need(version == VERSION, f"{row.name}: footer version {version} is not known", "ZGQ_UNSUPPORTED")
    need(index_id == index.id, f"{row.name}: the footer is of another index", "ZGQ_MISMATCH")
    zones = sorted((zone for zone in index.zones if zone.file == row.file), key=lambda zone: zone.segment_offset)
    expected = b""
    for zone in zones:
        expected += DIRECTORY_ENTRY.pack(
            zone.zone, zone.segment, zone.row_count, zone.segment_offset, zone.columns_offset,
            zone.columns_byte_length, zone.min_norm, zone.max_norm, zone.radius, zone.columns_crc, 0)
        expected += index.centroids[zone.zone] + bytes(-4 * index.dim % 8)
    need((magic, start % PAGE) == (MAGICS["vectors"], 0)
         and pages(start + length + FOOTER.size) * PAGE == row.byte_length,
         f"{row.name}: a field of the footer is out of range")
    directory = read_at(file, start, length)
    need(zlib.crc32(directory) == directory_crc, f"{row.name}: the directory CRC does not fit")
    need(zone_count == len(zones) and directory == expected, f"{row.name}: the directory is not the catalogue's")


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="reader.py", description="Search or check a ZGQ index.")
    parser.add_argument("index", metavar="INDEX")
    parser.add_argument("queries", metavar="QUERIES.fbin", nargs="?")
    parser.add_argument("--k", type=int, default=10)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--nprobe", type=int)
    how.add_argument("--exact", action="store_true")
    how.add_argument("--check", action="store_true")
    how.add_argument("--estimates", action="store_true")
    options = parser.parse_args(arguments)
    if options.check != (options.queries is None):
        parser.error("give QUERIES.fbin or --check")
    if options.k < 0 or (options.nprobe is not None and options.nprobe < 1):
        parser.error("--k is at least 0 and --nprobe at least 1")
    try:
        index = open_index(options.index)
        if options.check:
            result = check(index)
        elif options.estimates:
            found = estimate(index, read_queries(options.queries, index))
            result = {"bits": index.bits, "metric": index.metric, "queries": [{"rows": rows} for rows in found]}
        else:
            found = search(index, read_queries(options.queries, index), options.k, options.nprobe)
            queries = [{"hits": [{"id": row, "distance": distance} for distance, row in hits]} for hits in found]
            result = {"k": options.k, "nprobe": options.nprobe, "exact": options.nprobe is None, "queries": queries}
    except (ZgqError, OSError) as error:
        code = getattr(error, "code", "ZGQ_CORRUPT")
        if code == "USAGE":
            parser.error(str(error))
        print(printable(f"reader: {code}: {' '.join(str(error).split())}"), file=sys.stderr)
        return 1
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
