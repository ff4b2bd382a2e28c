/** Tables that go on under another query: every kind that may be forward_only, step by step. */
import { DuckDBInstance } from '@duckdb/node-api'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { planForAttempts } from '../../helpers/attempts.ts'

const KINDS = [
  'INCREMENTAL_UNMANAGED',
  'INCREMENTAL_BY_PARTITION',
  'INCREMENTAL_BY_UNIQUE_KEY (unique_key id, forward_only true)',
  'INCREMENTAL_BY_TIME_RANGE (time_column day, forward_only true)',
  'SCD_TYPE_2_BY_COLUMN (unique_key id, columns *)',
]

test('every kind gets a new column and a wider type with its next step; one less is refused, and nothing is written', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-evolve-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const parquet = join(folder, 'source.parquet')
  await writeParquet(parquet, `SELECT 1 AS id, DATE '2024-01-01' AS day, 1::SMALLINT AS n`)
  const files = KINDS.map((kind, at) => [
    `models/m_${at}.sql`,
    `MODEL (name a.m_${at}, kind ${kind}, partitioned_by (id));\nSELECT * FROM '${parquet}'`,
  ])
  const project = await planForAttempts(Object.fromEntries(files) as Record<string, string>, '2024-01-11T00:00:00Z')
  const columns = async (at: number): Promise<Record<string, string>> => {
    const { version } = project.step(`a.m_${at}`)
    const rows = await project.rows<{ column_name: string; column_type: string }>(
      `DESCRIBE millrace__a.a__m_${at}__${version}`,
    )
    return Object.fromEntries(rows.map(({ column_name, column_type }) => [column_name, column_type]))
  }
  const build = (at: number, runId: string): Promise<unknown> => {
    const { fresh: _, ...again } = project.step(`a.m_${at}`)
    return project
      .attempt(runId === 'first' ? project.step(`a.m_${at}`) : again, { runId })
      .outcome.catch((error: unknown) => error)
  }
  const steps = async (runId: string): Promise<unknown[]> => {
    const outcomes: unknown[] = []
    for (const at of KINDS.keys()) outcomes.push(await build(at, runId))
    return outcomes
  }

  for (const outcome of await steps('first')) expect(outcome).toMatchObject({ rows: 1 })
  await writeParquet(parquet, `SELECT 1 AS id, DATE '2024-01-01' AS day, 70000 AS n, 'x' AS more`)
  for (const outcome of await steps('wider')) expect(outcome).toMatchObject({ warnings: 0 })
  for (const at of KINDS.keys()) {
    expect(await columns(at), KINDS[at]).toMatchObject({ id: 'INTEGER', day: 'DATE', n: 'INTEGER', more: 'VARCHAR' })
    const { version } = project.step(`a.m_${at}`)
    const rows = await project.rows(`SELECT n, more FROM millrace__a.a__m_${at}__${version} ORDER BY n`)
    // What was there stays where a kind keeps it.
    expect(rows.at(-1), KINDS[at]).toEqual({ n: 70000, more: 'x' })
    if (rows.length > 1) expect(rows[0], KINDS[at]).toEqual({ n: 1, more: null })
  }

  await writeParquet(parquet, `SELECT 1 AS id, DATE '2024-01-01' AS day, 1 AS n`)
  for (const outcome of await steps('less')) {
    expect(outcome).toMatchObject({
      type: 'SCHEMA_CHANGE',
      nonRetryable: true,
      message: expect.stringContaining("its query drops 'more'; on_destructive_change is error"),
    })
  }
  for (const at of KINDS.keys()) expect(await columns(at), KINDS[at]).toMatchObject({ more: 'VARCHAR' })
})

async function writeParquet(path: string, query: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await connection.run(`COPY (${query}) TO '${path}'`)
  connection.closeSync()
  instance.closeSync()
}
