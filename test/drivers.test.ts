// The drivers of SQLite keep one contract, and their errors say the same of a catalogue. node:sqlite is in
// node-sqlite.test.ts.

import { describe, expect, it } from 'vitest'

import { wrapQueryError, wrapSqliteError, wrapSqliteWriteError } from '../src/catalogue/sqlite-errors.ts'
import { sqliteCodeName } from '../src/catalogue/sqlite-codes.ts'
import { describeDriver } from './support/driver-contract.ts'
import { betterSqlite3 } from './support/drivers.ts'

describeDriver('better-sqlite3', betterSqlite3)

describe('an error of SQLite', () => {
  it.each([
    [1, 'SQLITE_ERROR'],
    [5, 'SQLITE_BUSY'],
    [8, 'SQLITE_READONLY'],
    [26, 'SQLITE_NOTADB'],
    [266, 'SQLITE_IOERR_READ'],
    [517, 'SQLITE_BUSY_SNAPSHOT'],
    [776, 'SQLITE_READONLY_ROLLBACK'],
    [779, 'SQLITE_CORRUPT_INDEX'],
    [8714, 'SQLITE_IOERR_IN_PAGE'],
    [99, 'SQLITE_99']
  ])('%i is %s', (code, name) => {
    expect(sqliteCodeName(code)).toBe(name)
  })

  it.each([
    ['SQLITE_CORRUPT_INDEX', 'ZGQ_CORRUPT'],
    ['SQLITE_ERROR', 'ZGQ_CORRUPT'],
    ['SQLITE_MISMATCH', 'ZGQ_CORRUPT'],
    ['SQLITE_NOTADB', 'ZGQ_NOT_AN_INDEX'],
    ['SQLITE_BUSY_RECOVERY', 'ZGQ_LOCKED'],
    ['SQLITE_IOERR_READ', 'ZGQ_IO'],
    ['SQLITE_NOMEM', 'ZGQ_IO'],
    ['SQLITE_READONLY_CANTINIT', 'ZGQ_IO'],
    ['SQLITE_AUTH', 'ZGQ_IO'],
    ['ERR_DLOPEN_FAILED', 'ZGQ_IO'],
    ['ERR_ACCESS_DENIED', 'ZGQ_IO']
  ])('%s while a catalogue is read is %s', (code, expected) => {
    expect(wrapSqliteError(Object.assign(new Error('so it is'), { code }), 'catalogue.sqlite').code).toBe(expected)
  })

  it.each([
    ['SQLITE_READONLY_DIRECTORY', 'ZGQ_READ_ONLY'],
    ['SQLITE_BUSY', 'ZGQ_LOCKED'],
    ['SQLITE_FULL', 'ZGQ_IO'],
    ['SQLITE_IOERR_WRITE', 'ZGQ_IO'],
    ['EACCES', 'ZGQ_READ_ONLY']
  ])('%s while a catalogue is written is %s', (code, expected) => {
    const error = Object.assign(new Error('so it is'), { code })
    expect(wrapSqliteWriteError(error, 'catalogue.sqlite', 'write').code).toBe(expected)
  })

  it.each([
    ['SQLITE_ERROR', 'ZGQ_BUILD_INPUT'],
    ['SQLITE_NOTADB', 'ZGQ_BUILD_INPUT'],
    ['SQLITE_CORRUPT', 'ZGQ_BUILD_INPUT'],
    ['SQLITE_READONLY', 'ZGQ_BUILD_INPUT'],
    ['SQLITE_READONLY_CANTINIT', 'ZGQ_IO'],
    ['SQLITE_BUSY', 'ZGQ_LOCKED'],
    ['SQLITE_CANTOPEN', 'ZGQ_IO'],
    ['SQLITE_IOERR_READ', 'ZGQ_IO']
  ])("%s while the user's query runs is %s", (code, expected) => {
    expect(wrapQueryError(Object.assign(new Error('so it is'), { code }), 'app.db').code).toBe(expected)
  })
})
