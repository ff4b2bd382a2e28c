/** The columns of a model: what it declares is a contract, and a table that is kept has the columns it was made with. */
import type { ApplicationFailure } from '@temporalio/common'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, onTestFinished, test } from 'vitest'
import { planForAttempts, type PlannedProject } from '../../helpers/attempts.ts'
import { physicalRelation } from '../../../src/sql/physical.ts'

const NOW = '2024-01-04T00:00:00Z'

async function failureOf(project: PlannedProject, model: string, runId?: string): Promise<ApplicationFailure> {
  const attempt = project.attempt(project.step(model), runId === undefined ? {} : { runId })
  return attempt.outcome.then(
    () => {
      throw new Error(`'${model}' was built`)
    },
    (error: ApplicationFailure) => error,
  )
}

async function rowsOf(project: PlannedProject, name: string): Promise<unknown[]> {
  const { version } = project.step(`a.${name}`)
  const table = physicalRelation({ catalog: null, schema: 'a', name }, version)
  return project.rows(`FROM "${table.schema}"."${table.name}" ORDER BY ALL`)
}

describe('declared columns', () => {
  const kinds = [
    'FULL',
    'VIEW',
    'INCREMENTAL_UNMANAGED',
    'INCREMENTAL_BY_TIME_RANGE (time_column day)',
    'INCREMENTAL_BY_UNIQUE_KEY (unique_key id)',
    'SCD_TYPE_2_BY_COLUMN (unique_key id, columns *)',
  ]

  test('one that the query does not return, or cannot be cast, is named with its types; nothing is left', async () => {
    const files = Object.fromEntries(
      kinds.flatMap((kind, at) => [
        [
          `models/lacks_${at}.sql`,
          `MODEL (name a.lacks_${at}, kind ${kind}, columns (id INTEGER, day DATE, note VARCHAR));\n
            SELECT 1 AS id, DATE '2024-01-01' AS day, 'x' AS noted`,
        ],
        [
          `models/casts_${at}.sql`,
          `MODEL (name a.casts_${at}, kind ${kind}, columns (id INTEGER, day DATE));\n
            SELECT\n  'n' || range AS id,\n  DATE '2024-01-01' AS day FROM range(3)`,
        ],
      ]),
    )
    const project = await planForAttempts(files, NOW)
    for (const [at, kind] of kinds.entries()) {
      const lacks = await failureOf(project, `a.lacks_${at}`)
      expect(lacks, kind).toMatchObject({ type: 'COLUMNS', nonRetryable: true })
      expect(lacks.details).toMatchObject([
        {
          message: `model 'a.lacks_${at}': expected the declared column 'note' (VARCHAR) from its query, which returns id INTEGER, day DATE, noted VARCHAR`,
          file: `models/lacks_${at}.sql`,
          line: 3,
        },
      ])
      // A view is cast when it is read.
      if (kind === 'VIEW') continue
      const casts = await failureOf(project, `a.casts_${at}`)
      expect(casts, kind).toMatchObject({ type: 'COLUMNS', nonRetryable: true })
      expect(casts.message).toMatch(/values of the declared column 'id' as INTEGER; its query returns VARCHAR/)
      expect(casts.message).toMatch(/'n0'/)
    }
    expect(await project.rows('FROM millrace.ledger')).toEqual([])
  })

  test('are selected and cast as in SQLMesh: what else the query returns is left out', async () => {
    const project = await planForAttempts(
      { 'models/m.sql': `MODEL (name a.m, kind FULL, columns (b VARCHAR, a TINYINT));\nSELECT 1 AS a, 2 AS b, 3 AS c` },
      NOW,
    )
    await project.attempt(project.step('a.m')).outcome
    expect(await rowsOf(project, 'm')).toEqual([{ b: '2', a: 1 }])
  })

  test('a history without the time by which its rows are compared is refused by the name of that column', async () => {
    const project = await planForAttempts(
      { 'models/m.sql': `MODEL (name a.m, kind SCD_TYPE_2 (unique_key a, updated_at_name changed));\nSELECT 1 AS a` },
      NOW,
    )
    const failure = await failureOf(project, 'a.m')
    expect(failure).toMatchObject({ type: 'MODEL', nonRetryable: true })
    expect(failure.message).toContain("expected its updated_at_name 'changed' among the query's columns; they are a,")
  })

  test('a cast of the query’s own is not blamed on them', async () => {
    const project = await planForAttempts(
      {
        'models/m.sql': `MODEL (name a.m, kind FULL, columns (a BIGINT));
          SELECT a::INTEGER AS a FROM (SELECT 'n' || range AS a FROM range(3))`,
      },
      NOW,
    )
    expect(await failureOf(project, 'a.m')).toMatchObject({ type: 'SQL' })
  })
})

test.each([
  ['SELECT 1 AS id', 'got them without day DATE'],
  [`SELECT 1 AS id, DATE '2024-01-01' AS day, 2 AS more`, 'got them with more INTEGER besides'],
  [`SELECT DATE '2024-01-01' AS day, 2 AS more`, 'got them without id INTEGER and with more INTEGER besides'],
])('a table that is kept is not given other columns: %s', async (changed, message) => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-columns-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const parquet = join(folder, 'source.parquet')
  const source = (query: string): Promise<void> => writeParquet(parquet, query)
  await source(`SELECT 1 AS id, DATE '2024-01-01' AS day`)
  const kinds = [
    'INCREMENTAL_UNMANAGED (forward_only false)',
    'INCREMENTAL_BY_UNIQUE_KEY (unique_key id)',
    'INCREMENTAL_BY_TIME_RANGE (time_column day)',
  ]
  const files = kinds.map((kind, at) => [
    `models/m_${at}.sql`,
    `MODEL (name a.m_${at}, kind ${kind});\nSELECT * FROM '${parquet}'`,
  ])
  const project = await planForAttempts(Object.fromEntries(files) as Record<string, string>, NOW)
  for (const [at, kind] of kinds.entries()) {
    await source(`SELECT 1 AS id, DATE '2024-01-01' AS day`)
    await project.attempt(project.step(`a.m_${at}`)).outcome
    await source(changed)
    const { fresh: _, ...again } = project.step(`a.m_${at}`)
    const failure = await project.attempt(again, { runId: 'next' }).outcome.catch((error: unknown) => error)
    expect(failure, kind).toMatchObject({
      type: 'COLUMNS',
      nonRetryable: true,
      message: expect.stringContaining(message),
    })
    expect(await rowsOf(project, `m_${at}`)).toEqual([{ id: 1, day: '2024-01-01' }])
  }
})

async function writeParquet(path: string, query: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await connection.run(`COPY (${query}) TO '${path}'`)
  connection.closeSync()
  instance.closeSync()
}
