/** Raw DuckDB: the statements in order, on one connection of one process. No state, no views, no graph. */
import path from 'node:path'
import { version } from '@duckdb/node-api'
import { timeCommand } from '../measure.ts'
import { writeFiles, type Peer, type Timing } from './peer.ts'

const script = path.join(import.meta.dirname, 'run-statements.mjs')
const database = 'warehouse.duckdb'

export function createRawPeer(): Peer {
  return {
    name: 'raw DuckDB',
    command: 'node run-statements.mjs',
    unchanged: 'rebuilds',
    database,
    leavings: [database, `${database}.wal`],
    prepare: () => Promise.resolve(`raw DuckDB ${version()} in Node ${process.version}, one connection, autocommit`),
    async write({ schema, models }, folder) {
      const statements = models.map(
        ({ name, query }) =>
          `CREATE OR REPLACE TABLE ${schema}.${name} AS\n${query((parent) => `${schema}.${parent}`)}`,
      )
      const all = [`CREATE SCHEMA IF NOT EXISTS ${schema}`, ...statements]
      await writeFiles(folder, new Map([['statements.json', JSON.stringify(all)]]))
    },
    build: runStatements,
    rebuild: runStatements,
  }
}

async function runStatements(folder: string): Promise<Timing> {
  const { wallMs, stdout } = await timeCommand('node', [script, database, 'statements.json'], { cwd: folder })
  const buildMs = Number(stdout)
  if (!(buildMs > 0)) throw new Error(`Expected a duration on standard output, got '${stdout}'`)
  return { commandMs: wallMs, buildMs }
}
