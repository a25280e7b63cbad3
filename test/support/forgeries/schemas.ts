// Forged schemas: views, triggers, virtual tables and whatever else has SQLite do what we did not ask for.

import { runSql } from '../forge/catalogue.ts'
import { refused, schemaEdit, statement, type Forgery } from './forgery.ts'

const CHUNK = ['first', 'count', 'records', 'crc']
const COLUMNS: Record<string, readonly string[]> = {
  meta: ['key', 'value', 'crc'],
  files: CHUNK,
  segments: CHUNK,
  zones: CHUNK,
  zone_codes: CHUNK,
  delta_zones: CHUNK,
  fresh: ['sequence', 'id', 'vector', 'payload', 'crc'],
  masks: ['sequence', 'segment', 'deleted', 'crc'],
  patches: ['sequence', 'segment', 'row', 'payload', 'crc'],
  writers: ['writer', 'about', 'crc'],
  reservations: ['generation', 'about', 'crc'],
  superseded: ['file', 'record', 'since', 'crc']
}

/** A view in the place of a table, whose rows never end. */
const endless = (table: string): Forgery =>
  refused(`a view without end in the place of table ${table}`, (folder) => {
    const [first, ...others] = COLUMNS[table]
    runSql(
      folder,
      `DROP TABLE ${table}`,
      `CREATE VIEW ${table} AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) SELECT i AS ${first}, ` +
        `${others.map((name) => `0 AS ${name}`).join()} FROM n`
    )
  })

export const SCHEMAS: readonly Forgery[] = [
  ...Object.keys(COLUMNS).map(endless),
  statement(
    'a view that makes 1.9 GB in the place of table zones',
    'ALTER TABLE zones RENAME TO other',
    'CREATE VIEW zones AS SELECT first, count, zeroblob(999999000) AS records, crc FROM other'
  ),
  statement(
    'a view that makes 1.9 GB in the place of table meta',
    'ALTER TABLE meta RENAME TO other',
    'CREATE VIEW meta AS SELECT key, zeroblob(999999000) AS value, crc FROM other'
  ),
  statement(
    'a trigger without end on table meta',
    'CREATE TRIGGER t AFTER INSERT ON meta BEGIN SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL ' +
      'SELECT i + 1 FROM n) SELECT i FROM n); END'
  ),
  statement('a trigger that clears table zones', 'CREATE TRIGGER t BEFORE INSERT ON meta BEGIN DELETE FROM zones; END'),
  statement('a virtual table beside ours', 'CREATE VIRTUAL TABLE more USING fts5(text)'),
  schemaEdit(
    'a virtual table in the place of table zones',
    "UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE zones USING dbstat', rootpage = 0 WHERE name = 'zones'",
    "DELETE FROM sqlite_schema WHERE type = 'index'"
  ),
  schemaEdit(
    'a generated column that makes 1 GB',
    "UPDATE sqlite_schema SET sql = replace(sql, 'records BLOB NOT NULL', 'records BLOB AS (zeroblob(999999000))') " +
      "WHERE name = 'zones'"
  ),
  statement('a table more', 'CREATE TABLE more (x)'),
  statement('statistics of ANALYZE', 'ANALYZE'),
  statement('an index more', 'CREATE INDEX more ON zones (count)'),
  statement('an index on an expression', 'CREATE INDEX more ON zones (abs(count))'),
  statement('a column more', 'ALTER TABLE zones ADD COLUMN more'),
  statement('a view beside ours', 'CREATE VIEW more AS SELECT 1'),
  schemaEdit(
    'a comment in the schema',
    "UPDATE sqlite_schema SET sql = sql || ' /* */' WHERE name = 'files' AND type = 'table'"
  ),
  schemaEdit(
    'a schema in small letters',
    "UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL', 'not null') WHERE name = 'files'"
  ),
  schemaEdit(
    'a default in the schema',
    "UPDATE sqlite_schema SET sql = replace(sql, 'count INTEGER NOT NULL', 'count INTEGER NOT NULL DEFAULT 1') " +
      "WHERE name = 'files'"
  ),
  ...['tbl_name', 'type'].flatMap((column) =>
    [
      ['20 MB of bytes', 'zeroblob(20000000)'],
      ['20 MB of text', "replace(hex(zeroblob(10000000)), '0', 'x')"]
    ].map(([title, value]) =>
      schemaEdit(
        `${title} in column ${column} of a table`,
        `UPDATE sqlite_schema SET ${column} = ${value} WHERE name = 'zones'`
      )
    )
  ),
  schemaEdit(
    'bytes in the place of a name of a table',
    "UPDATE sqlite_schema SET tbl_name = x'7a' WHERE name = 'zones'"
  ),
  ...['NULL', "x'00'"].map((sql) =>
    schemaEdit(
      `an index of no table, made by ${sql}`,
      `INSERT INTO sqlite_schema VALUES ('index', 'sqlite_autoindex_zones_1', 'zones', 2, ${sql})`
    )
  ),
  schemaEdit('a schema of garbage', "UPDATE sqlite_schema SET sql = 'garbage' WHERE name = 'files'"),
  schemaEdit(
    'a name of control characters in the schema',
    "UPDATE sqlite_schema SET sql = 'x', name = char(27, 155, 10)"
  ),
  schemaEdit(
    'two tables exchanged',
    "UPDATE sqlite_schema SET rootpage = (SELECT sum(rootpage) FROM sqlite_schema WHERE name IN ('files', 'segments')) " +
      "- rootpage WHERE name IN ('files', 'segments')"
  ),
  schemaEdit('a table that begins on no page', "UPDATE sqlite_schema SET rootpage = 99999999 WHERE name = 'files'"),
  refused(
    'a newer user_version and a view without end',
    (folder) => {
      endless('zones').forge(folder)
      runSql(folder, 'PRAGMA user_version = 9')
    },
    ['ZGQ_UNSUPPORTED']
  ),
  refused(
    'another application_id and a view without end',
    (folder) => {
      endless('meta').forge(folder)
      runSql(folder, 'PRAGMA application_id = 9')
    },
    ['ZGQ_NOT_AN_INDEX']
  )
]
