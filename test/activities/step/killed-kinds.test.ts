/** Every kind's step in a process that is killed in the middle of it, again and again: what is built is what an undisturbed build makes. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import type { StepsScript } from '../../fixtures/steps.ts'
import { planForAttempts } from '../../helpers/attempts.ts'
import { query, writeFiles } from '../../helpers/project.ts'
import type { BuildStep, StepOutcome } from '../../../src/payloads.ts'
import { quoteRelation } from '../../../src/sql/identifiers.ts'
import { physicalRelation } from '../../../src/sql/physical.ts'

const SCRIPT = fileURLToPath(new URL('../../fixtures/steps.ts', import.meta.url))
const DAY_MS = 86_400_000
const START_MS = Date.parse('2024-01-01')
const NOW = '2024-01-03T00:00:00Z'
const SELECT = "SELECT id, part, v, day, updated_at FROM 'source.csv'"
const OF_THE_DAY = `${SELECT} WHERE day BETWEEN @start_date AND @end_date`

const KINDS: Record<string, string> = {
  full: `kind FULL); ${SELECT}`,
  vw: `kind VIEW); ${SELECT}`,
  days: `kind INCREMENTAL_BY_TIME_RANGE (time_column day)); ${OF_THE_DAY}`,
  keyed: `kind INCREMENTAL_BY_UNIQUE_KEY (unique_key (id, part))); ${OF_THE_DAY}`,
  merged: `kind INCREMENTAL_BY_UNIQUE_KEY (unique_key id, when_matched (WHEN MATCHED THEN UPDATE SET target.v = target.v + source.v))); ${OF_THE_DAY}`,
  parts: `kind INCREMENTAL_BY_PARTITION, partitioned_by (part)); ${OF_THE_DAY}`,
  log: `kind INCREMENTAL_UNMANAGED); ${OF_THE_DAY}`,
  overwritten: `kind INCREMENTAL_UNMANAGED (insert_overwrite true), partitioned_by (part)); ${OF_THE_DAY}`,
  by_time: `kind SCD_TYPE_2_BY_TIME (unique_key (id, part), invalidate_hard_deletes true)); ${SELECT}`,
  by_column: `kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns [v], invalidate_hard_deletes true)); ${SELECT}`,
}
/** What the source holds, day by day. */
const HEADER = 'id,part,v,day,updated_at'
const SOURCES = [
  [
    HEADER,
    '1,a,1,2024-01-01,2024-01-01 01:00:00',
    '1,,1,2024-01-01,2024-01-01 02:00:00',
    '2,b,1,2024-01-01,2024-01-01 03:00:00',
  ],
  [
    HEADER,
    '1,a,2,2024-01-02,2024-01-02 01:00:00',
    '1,,5,2024-01-02,2024-01-02 02:00:00',
    '4,c,1,2024-01-02,2024-01-02 03:00:00',
  ],
].map((lines) => `${lines.join('\n')}\n`)
const FILES = {
  'config.yaml': `gateways: { local: { connection: { type: duckdb, database: w.duckdb, concurrent_tasks: 16 } } }
model_defaults: { dialect: duckdb, start: 2024-01-01, cron: '@daily' }`,
  'source.csv': SOURCES[0] ?? '',
  'seeds/s.csv': 'id,v\n1,2\n',
  'models/s.sql': "MODEL (name k.s, kind SEED (path '../seeds/s.csv'));",
  ...Object.fromEntries(
    Object.entries(KINDS).map(([name, rest]) => [`models/${name}.sql`, `MODEL (name k.${name}, ${rest}`]),
  ),
}

/** Of each day's steps, one after the other. */
const DEATHS = [
  ['begun', 'committed'],
  ['written', 'committed'],
] as const

test('a first load and a second one of every kind, killed before it writes, before its COMMIT and after it', async () => {
  // Most of their time is their start.
  const [last, ...dying] = [null, ...DEATHS.flat()].map(startProcess)
  const planned = await planForAttempts(FILES, NOW)
  const { root, steps } = planned
  await planned.close()
  const file = join(root, 'w.duckdb')
  expect(steps).toHaveLength(Object.keys(KINDS).length + 1)
  const days = SOURCES.map((_, nth) => steps.map((step) => planned.input(stepOf(step, nth), { runId: runOf(nth) })))
  for (const [nth, deaths] of DEATHS.entries()) {
    await writeFiles(root, { 'source.csv': SOURCES[nth] ?? '' })
    for (const [before, dieWhen] of deaths.entries()) {
      const died = await dying.shift()?.run({ project: root, steps: days[nth] ?? [], attempt: before + 1, dieWhen })
      const recorded = dieWhen === 'committed' ? steps.length : 0
      expect({ signal: died?.signal, recorded: await countSteps(file, nth) }, dieWhen).toEqual({
        signal: 'SIGKILL',
        recorded,
      })
    }
  }
  const ended = await last?.run({ project: root, steps: days.flat(), attempt: 3, dieWhen: null })

  const quiet = await planForAttempts(FILES, NOW)
  const outcomes: StepOutcome[] = []
  for (const [nth, source] of SOURCES.entries()) {
    await writeFiles(quiet.root, { 'source.csv': source })
    for (const step of quiet.steps) outcomes.push(await quiet.attempt(stepOf(step, nth), { runId: runOf(nth) }).outcome)
  }
  expect(ended?.answer.map(rowsOf)).toEqual(outcomes.map(rowsOf))
  const expected = await tables(quiet.steps, (sql) => quiet.rows(sql))
  expect(Object.entries(expected).filter(([, rows]) => rows.length === 0)).toEqual([])
  expect(await tables(steps, (sql) => query(file, sql))).toEqual(expected)
}, 120_000)

function runOf(nth: number): string {
  return `day-${nth}`
}

/** A planned step, for one day only. */
function stepOf({ fresh, ...step }: BuildStep, nth: number): BuildStep {
  const start = START_MS + nth * DAY_MS
  const interval: BuildStep['interval'] = step.interval === null ? null : [start, start + DAY_MS]
  return { ...step, interval, ...(nth === 0 && fresh === true ? { fresh } : {}) }
}

interface StepsProcess {
  run(script: StepsScript): Promise<{ signal: NodeJS.Signals | null; answer: unknown[] }>
}

function startProcess(): StepsProcess {
  const child = spawn(process.execPath, ['--import', 'tsx', SCRIPT], {
    env: { ...process.env, UV_THREADPOOL_SIZE: '64' },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const ended = Promise.all([text(child.stdout), once(child, 'close')])
  return {
    async run(script) {
      child.stdin.end(JSON.stringify(script))
      const [output, [, signal]] = await ended
      return { signal: signal as NodeJS.Signals | null, answer: output === '' ? [] : (JSON.parse(output) as unknown[]) }
    },
  }
}

function rowsOf(outcome: unknown): unknown {
  const { rows, rowsFiltered } = outcome as StepOutcome
  return { rows, rowsFiltered }
}

async function countSteps(file: string, nth: number): Promise<number> {
  const [row] = await query(
    file,
    `SELECT count(*)::INTEGER AS steps FROM millrace.steps WHERE run_id = '${runOf(nth)}'`,
  )
  return Number(row?.['steps'])
}

/** All rows of all models, by name. */
async function tables(
  steps: readonly BuildStep[],
  rows: (sql: string) => Promise<unknown[]>,
): Promise<Record<string, unknown[]>> {
  const contents: Record<string, unknown[]> = {}
  for (const { model, version } of steps) {
    const [schema = '', name = ''] = model.split('.')
    const table = physicalRelation({ catalog: null, schema, name }, version)
    contents[model] = await rows(`SELECT COLUMNS(*)::VARCHAR FROM ${quoteRelation(table)} ORDER BY ALL`)
  }
  return contents
}
