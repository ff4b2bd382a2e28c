/** What a peer left in its database, as one value that can be compared. */
import { createHash } from 'node:crypto'
import { DuckDBInstance } from '@duckdb/node-api'
import type { Workload } from './generate.ts'

export interface TableDigest {
  rows: number
  /** Hash over the name, row count and row hashes of every model; the order of rows does not count. */
  hash: string
}

/** Reads every model of the workload by its own name; throws when one is missing. */
export async function digestTables(database: string, workload: Workload): Promise<TableDigest> {
  const instance = await DuckDBInstance.create(database, { access_mode: 'READ_ONLY' })
  try {
    const connection = await instance.connect()
    const hash = createHash('sha256')
    let rows = 0
    for (const { name } of workload.models) {
      // `hash` differs between types too, so a column of another type is another result.
      const result = await connection.runAndReadAll(
        `SELECT count(*)::VARCHAR, sum(hash(id, grp, amount))::VARCHAR FROM ${workload.schema}.${name}`,
      )
      const [count, sum] = result.getRows()[0] ?? []
      rows += Number(count)
      hash.update(`${name} ${String(count)} ${String(sum)}\n`)
    }
    connection.closeSync()
    return { rows, hash: hash.digest('hex') }
  } finally {
    instance.closeSync()
  }
}
