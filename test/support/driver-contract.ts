// What every driver of SQLite keeps, reading and writing: one suite for all of them.

import { copyFileSync, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { inTransaction, type Database, type Driver, type SqlValue } from '../../src/catalogue/driver.ts'
import { systemCode } from '../../src/errors.ts'
import { useTempFolder } from './temp-folder.ts'

const LARGEST = Number.MAX_SAFE_INTEGER

/** SQLite's name of the error that a call throws. */
function codeOf(call: () => unknown): string {
  try {
    call()
  } catch (error) {
    return systemCode(error) ?? `no code: ${String(error)}`
  }
  return 'no error'
}

function take<T>(rows: Iterator<T>): T[] {
  const taken: T[] = []
  for (let next = rows.next(); next.done !== true; next = rows.next()) taken.push(next.value)
  return taken
}

/** Describes a driver; `load` is called when tests run. */
export function describeDriver(name: string, load: () => Driver): void {
  const temp = useTempFolder('driver')

  /** Opens, works and closes. */
  function using<T>(path: string, mode: 'read' | 'write' | 'create', work: (database: Database) => T): T {
    const database = load().open(path, { mode })
    try {
      return work(database)
    } finally {
      database.close()
    }
  }

  /** Makes a database with rows 1 to `count` of a number, a text and a BLOB. */
  function makeDatabase(count = 3): string {
    const path = temp.fresh('some.sqlite')
    using(path, 'create', (database) => {
      database.exec('CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT, bytes BLOB)')
      inTransaction(database, () => {
        const insert = database.prepare('INSERT INTO things VALUES (?, ?, ?)')
        for (let id = 1; id <= count; id++) insert.run(id, `thing ${id}`, Uint8Array.of(id, 0, 255))
      })
    })
    return path
  }

  describe(`the driver ${name}`, () => {
    it('says its name, and the version of its SQLite', () => {
      expect(load()).toMatchObject({ name, version: expect.stringMatching(/^3\.\d+\.\d+$/) })
    })

    describe('reads what it wrote:', () => {
      const VALUES: SqlValue[] = [0, -1, LARGEST, -LARGEST, 0.1, 1e300, '', 'caf\u00e9 \u{1f600}', null]
      it.each(VALUES)('%j', (value) => {
        const path = temp.fresh('value.sqlite')
        using(path, 'create', (database) => {
          database.exec('CREATE TABLE one (value)')
          database.prepare('INSERT INTO one VALUES (?)').run(value)
        })
        using(path, 'read', (database) => {
          expect(database.prepare('SELECT value, 7 AS more FROM one').all()).toEqual([[value, 7]])
        })
      })

      it('bytes, an empty and a large BLOB among them', () => {
        const blobs = [new Uint8Array(0), Uint8Array.of(1, 2, 3), new Uint8Array(2 ** 21).fill(7)]
        const path = temp.fresh('blobs.sqlite')
        using(path, 'create', (database) => {
          database.exec('CREATE TABLE blobs (bytes BLOB)')
          for (const blob of blobs) database.prepare('INSERT INTO blobs VALUES (?)').run(blob)
        })
        const found = using(path, 'read', (database) =>
          database.prepare('SELECT bytes FROM blobs ORDER BY rowid').all()
        ).map(([bytes]) => (bytes instanceof Uint8Array ? Buffer.from(bytes) : bytes))
        expect(found.map((bytes) => Buffer.isBuffer(bytes))).toEqual([true, true, true])
        expect(found.every((bytes, i) => Buffer.isBuffer(bytes) && bytes.equals(blobs[i]))).toBe(true)
      })

      it('rows by a value that is asked for', () => {
        const rows = using(makeDatabase(), 'read', (database) =>
          database.prepare('SELECT name FROM things WHERE id > ? ORDER BY id LIMIT ?').all(1, 5)
        )
        expect(rows).toEqual([['thing 2'], ['thing 3']])
      })
    })

    it('never gives an integer beyond 2^53 for one that is safe', () => {
      const find = (): unknown =>
        using(makeDatabase(), 'read', (database) => database.prepare('SELECT 9007199254740993 AS id').all()[0][0])
      let found: unknown
      try {
        found = find()
      } catch (error) {
        expect(systemCode(error)).toBe('SQLITE_MISMATCH')
        return
      }
      expect(Number.isSafeInteger(found)).toBe(false)
    })

    describe('transactions', () => {
      it('that fail leave nothing', () => {
        const path = makeDatabase()
        const failed = (): void => {
          using(path, 'write', (database) => {
            inTransaction(database, () => {
              database.exec('DELETE FROM things')
              throw new Error('on the way')
            })
          })
        }
        expect(failed).toThrow('on the way')
        expect(using(path, 'read', (database) => database.prepare('SELECT count(*) FROM things').all())).toEqual([[3]])
      })

      it('that end leave what they wrote, and return what they found', () => {
        const path = makeDatabase()
        const found = using(path, 'write', (database) =>
          inTransaction(database, () => {
            database.prepare('DELETE FROM things WHERE id = ?').run(2)
            return 'done'
          })
        )
        expect(found).toBe('done')
        expect(using(path, 'read', (database) => database.prepare('SELECT id FROM things').all())).toEqual([[1], [3]])
      })

      it('hold off others, which hear SQLITE_BUSY', () => {
        const path = makeDatabase()
        using(path, 'write', (first) => {
          first.exec('BEGIN IMMEDIATE')
          using(path, 'write', (second) => {
            second.pragma('busy_timeout = 0')
            expect(codeOf(() => inTransaction(second, () => undefined))).toMatch(/^SQLITE_BUSY/)
          })
        })
      })
    })

    describe('pragmas', () => {
      it('are set and asked', () => {
        const path = makeDatabase()
        using(path, 'write', (database) => {
          database.pragma('user_version = 7')
          database.pragma('synchronous = FULL')
          expect(database.pragma('journal_mode = DELETE')).toBe('delete')
        })
        using(path, 'read', (database) => {
          expect(database.pragma('user_version')).toBe(7)
          expect(database.pragma('integrity_check(1)')).toBe('ok')
          expect(database.pragma('busy_timeout')).toBe(5000)
        })
      })

      it('of a write-ahead log, whose rows another connection sees', () => {
        const path = makeDatabase()
        using(path, 'write', (writer) => {
          expect(writer.pragma('journal_mode = WAL')).toBe('wal')
          writer.exec('DELETE FROM things')
          expect(using(path, 'read', (reader) => reader.prepare('SELECT count(*) FROM things').all())).toEqual([[0]])
          expect(writer.pragma('journal_mode = DELETE')).toBe('delete')
        })
        expect([existsSync(`${path}-wal`), existsSync(`${path}-shm`)]).toEqual([false, false])
      })
    })

    describe('a database', () => {
      it.each(['read', 'write'] as const)('that does not exist is not made (%s)', (mode) => {
        const path = temp.fresh('nowhere.sqlite')
        expect(codeOf(() => load().open(path, { mode }))).toBe('SQLITE_CANTOPEN')
        expect(existsSync(path)).toBe(false)
      })

      it('that is open for reading is not changed', () => {
        const path = makeDatabase()
        expect(codeOf(() => using(path, 'read', (database) => { database.exec('DELETE FROM things') }))).toBe('SQLITE_READONLY') // prettier-ignore
      })

      it('that is none is SQLITE_NOTADB', () => {
        const path = temp.fresh('text.sqlite')
        writeFileSync(path, 'no database, but long enough to have a header '.repeat(100))
        expect(codeOf(() => using(path, 'read', (database) => database.pragma('user_version')))).toBe('SQLITE_NOTADB')
      })

      it('that is cut short is SQLITE_CORRUPT', () => {
        const path = makeDatabase(2000)
        truncateSync(path, 8192)
        expect(codeOf(() => using(path, 'read', (database) => database.prepare('SELECT * FROM things').all()))).toMatch(
          /^SQLITE_CORRUPT/
        )
      })

      it('without the table that is asked for is SQLITE_ERROR', () => {
        expect(
          codeOf(() => using(makeDatabase(), 'read', (database) => database.prepare('SELECT * FROM nothing')))
        ).toBe('SQLITE_ERROR')
      })

      it('may have a name with white space, a question mark and a percent sign', () => {
        const folder = temp.fresh('folder')
        mkdirSync(folder)
        const path = join(folder, process.platform === 'win32' ? ' file%20.sqlite' : ' file:a?mode=rw%20.sqlite')
        copyFileSync(makeDatabase(), path)
        expect(using(path, 'read', (database) => database.prepare('SELECT count(*) FROM things').all())).toEqual([[3]])
        expect(readFileSync(path).byteLength).toBeGreaterThan(0)
      })

      it('may be closed twice', () => {
        const database = load().open(makeDatabase(), { mode: 'read' })
        database.close()
        expect(() => {
          database.close()
        }).not.toThrow()
      })
    })

    describe('a query of the user', () => {
      const ask = (sql: string): { columnNames: readonly string[]; rows: unknown[][] } =>
        using(makeDatabase(), 'read', (database) => {
          const query = database.query(sql)
          return { columnNames: query.columnNames, rows: take(query.rows()) }
        })

      it('gives integers as bigint, in the order of its columns, one name twice too', () => {
        expect(
          ask('SELECT id, 9007199254740993 AS id, 0.5, NULL, name FROM things WHERE id = 2;  -- that is all')
        ).toEqual({
          columnNames: ['id', 'id', '0.5', 'NULL', 'name'],
          rows: [[2n, 9007199254740993n, 0.5, null, 'thing 2']]
        })
      })

      it('gives row after row, and may be ended before the last', () => {
        const path = makeDatabase(100)
        using(path, 'read', (database) => {
          const rows = database.query('SELECT bytes FROM things ORDER BY id').rows()
          const first = rows.next().value
          expect(Array.from(Array.isArray(first) && first[0] instanceof Uint8Array ? first[0] : [])).toEqual([
            1, 0, 255
          ])
          rows.return?.()
        })
      })

      it('without columns says so', () => {
        expect(using(makeDatabase(), 'read', (database) => database.query('DELETE FROM things').columnNames)).toEqual(
          []
        )
      })

      it('that changes rows and returns them is SQLITE_READONLY', () => {
        expect(codeOf(() => ask('DELETE FROM things RETURNING id'))).toBe('SQLITE_READONLY')
      })

      it.each([
        ['two statements', 'SELECT 1; SELECT 2'],
        ['a parameter', 'SELECT ?'],
        ['a named parameter', 'SELECT id FROM things WHERE name = :name']
      ])('of %s is refused', (_what, sql) => {
        expect(() => ask(sql)).toThrow()
      })

      it('that fails in the middle gives the rows before', () => {
        using(makeDatabase(), 'read', (database) => {
          const rows = database
            .query('SELECT CASE id WHEN 2 THEN abs(-9223372036854775808) ELSE id END FROM things')
            .rows()
          expect(rows.next().value).toEqual([1n])
          expect(codeOf(() => rows.next())).toBe('SQLITE_ERROR')
        })
      })
    })
  })
}
