// The core's storage calls over an object's SQLite: a table of log rows and one of facts.
import type { Module, Imports } from './module.ts'

// A row may have 2 MB.
const kRowBytes = 1_900_000
const kDone = 0
const kFull = 1
const kFailed = 2

function outcomeOf(error: unknown): number {
  return /full|SQLITE_FULL|storage limit|quota/i.test(String(error)) ? kFull : kFailed
}

export function createTables(sql: SqlStorage): void {
  sql.exec(
    `CREATE TABLE IF NOT EXISTS log (at INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
     CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;`,
  )
}

export function storageImports(storage: DurableObjectStorage, module: () => Module): Imports {
  const { sql } = storage
  const give = (...parts: Uint8Array[]): void => {
    let size = 0
    for (const part of parts) size += part.length
    let at = module().core.row_room(size)
    const memory = module().memory()
    for (const part of parts) {
      memory.set(part, at)
      at += part.length
    }
  }
  const encoder = new TextEncoder()
  return {
    append_rows: (at, from, size) => {
      const insert = (begin: number): void => {
        const bytes = module().copy(from! + begin, Math.min(kRowBytes, size! - begin))
        sql.exec('INSERT INTO log (at, bytes) VALUES (?, ?)', at! + begin, bytes.buffer)
      }
      try {
        if (size! <= kRowBytes) {
          insert(0)
        } else {
          storage.transactionSync(() => {
            for (let begin = 0; begin < size!; begin += kRowBytes) insert(begin)
          })
        }
        return kDone
      } catch (error) {
        console.error('append failed:', error)
        return outcomeOf(error)
      }
    },
    read_rows: (from, to) => {
      const rows = sql.exec<{ at: number; bytes: ArrayBuffer }>(
        'SELECT at, bytes FROM log WHERE at >= ? AND at < ? ORDER BY at',
        from,
        to,
      )
      for (const row of rows) {
        give(new Uint8Array(row.bytes))
        if (module().core.take_row(row.at) === 0) return
      }
    },
    drop_rows: (before, most) => {
      const dropped = sql.exec(
        'DELETE FROM log WHERE at IN (SELECT at FROM log WHERE at < ? ORDER BY at LIMIT ?) RETURNING 1',
        before,
        most,
      )
      return dropped.toArray().length
    },
    put_fact: (key, keySize, value, size) => {
      try {
        sql.exec(
          'INSERT OR REPLACE INTO facts (key, value) VALUES (?, ?)',
          module().text(key!, keySize!),
          module().copy(value!, size!).buffer,
        )
        return kDone
      } catch (error) {
        console.error('a fact could not be stored:', error)
        return outcomeOf(error)
      }
    },
    erase_fact: (key, keySize) => {
      sql.exec('DELETE FROM facts WHERE key = ?', module().text(key!, keySize!))
    },
    read_facts: (from, fromSize, through, throughSize, descending) => {
      const order = descending === 1 ? 'DESC' : 'ASC'
      const facts = sql.exec<{ key: string; value: ArrayBuffer }>(
        `SELECT key, value FROM facts WHERE key >= ? AND key <= ? ORDER BY key ${order}`,
        module().text(from!, fromSize!),
        module().text(through!, throughSize!),
      )
      for (const fact of facts) {
        const key = encoder.encode(fact.key)
        give(key, new Uint8Array(fact.value))
        if (module().core.take_fact(key.length) === 0) return
      }
    },
    stored_bytes: () => sql.databaseSize,
  }
}
