/** Builds with a query that runs for minutes, or until the test lets it end: for what happens in mid-query. */
import { Client, Connection } from '@temporalio/client'
import { defaultPayloadConverter } from '@temporalio/common'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'
import type { HeartbeatDetails } from '../../src/activities/heartbeat.ts'
import { readServerFile, type ServerFile } from '../../src/temporal/server-file.ts'
import { createProject, query, writeFiles } from './project.ts'

/**
 * `s.fast`, then beside each other `s.slow` (FULL) and `s.slow_days` (INCREMENTAL_BY_TIME_RANGE) that run for minutes,
 * then `s.after`. What they read of `rows.csv` decides how long they take, and is no part of their definitions.
 */
export async function createSlowProject(): Promise<string> {
  const root = await createProject({
    'rows.csv': SLOW,
    'models/fast.sql': "MODEL (name s.fast, kind FULL);\nSELECT 1 AS a, nextval('made') AS made",
    'models/slow.sql': `MODEL (name s.slow, kind FULL);\nSELECT count(*) AS n ${PAIRS}`,
    'models/slow_days.sql': `MODEL (name s.slow_days, kind INCREMENTAL_BY_TIME_RANGE (time_column day), end '2024-01-03');
SELECT @start_date AS day, count(*) AS n ${PAIRS}`,
    'models/after.sql': 'MODEL (name s.after, kind FULL);\nSELECT s.n, d.n AS days FROM s.slow AS s, s.slow_days AS d',
  })
  // Tells how often `s.fast` was built: a sequence goes on whatever is rolled back.
  await query(join(root, 'w.duckdb'), 'CREATE SEQUENCE made')
  return root
}

const PAIRS = `FROM s.fast AS f, 'rows.csv' AS c, range(1000000) AS l(x), range(c.rows) AS r(y) WHERE hash(x, y, f.a) % 3 = 1`
const SLOW = 'rows\n1000000\n'

/** The queries end at once from the next attempt on. */
export async function letSlowQueriesEnd(root: string): Promise<void> {
  await writeFiles(root, { 'rows.csv': 'rows\n1\n' })
}

/** What the command that runs the project's server has written of it. */
export async function untilServerFile(root: string): Promise<ServerFile> {
  return until(`a server in ${root}`, () => readServerFile(root))
}

/** A client of the server, closed with the test. */
export async function connectTo(address: string): Promise<Client> {
  const connection = await Connection.connect({ address })
  onTestFinished(() => connection.close())
  return new Client({ connection })
}

/** Resolves when both slow models are in mid-query: their activities say so with their heartbeats. */
export async function untilWriting(
  client: Client,
  workflowId: string,
  models = ['s.slow', 's.slow_days'],
): Promise<void> {
  await until(`${models.join(' and ')} writing`, async () => {
    const beats = await pendingHeartbeats(client, workflowId)
    const writing = beats.filter(({ phase }) => phase === 'writing').map(({ model }) => model)
    return models.every((model) => writing.includes(model)) ? true : null
  })
}

/** What the running activities said last. */
export async function pendingHeartbeats(client: Client, workflowId: string): Promise<HeartbeatDetails[]> {
  const description = await client.workflow
    .getHandle(workflowId)
    .describe()
    .catch(() => null)
  return (description?.raw.pendingActivities ?? []).flatMap(({ heartbeatDetails }) => {
    const [payload] = heartbeatDetails?.payloads ?? []
    return payload === undefined ? [] : [defaultPayloadConverter.fromPayload<HeartbeatDetails>(payload)]
  })
}

/** Tables, rows and views that a build has left in a database that nobody holds. */
export async function leftovers(
  root: string,
): Promise<{ tables: string[]; ledger: string[]; views: string[]; running: number }> {
  const file = join(root, 'w.duckdb')
  if (!existsSync(file)) return { tables: [], ledger: [], views: [], running: 0 }
  const names = async (sql: string): Promise<string[]> => (await query(file, sql)).map(({ name }) => String(name))
  const tables = await names(
    `SELECT table_name.regexp_replace('__[^_]*$', '') AS name FROM duckdb_tables()
     WHERE schema_name LIKE 'millrace\\_\\_%' ESCAPE '\\' AND estimated_size > 0 ORDER BY ALL`,
  )
  return {
    tables,
    ledger: await names(
      'SELECT DISTINCT v.model AS name FROM millrace.ledger l JOIN millrace.versions v USING (version) ORDER BY ALL',
    ),
    views: await names("SELECT view_name AS name FROM duckdb_views() WHERE schema_name = 's' ORDER BY ALL"),
    running: (await query(file, 'FROM millrace.running_builds')).length,
  }
}

/** How often `s.fast` was built. */
export async function timesFastWasBuilt(root: string): Promise<number> {
  const [row] = await query(
    join(root, 'w.duckdb'),
    "SELECT last_value::INTEGER AS n FROM duckdb_sequences() WHERE sequence_name = 'made'",
  )
  return Number(row?.['n'] ?? 0)
}

/** Every process that has the folder on its command line: commands, their launchers, the server, its watchdog. */
export async function processesOf(root: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ps', ['-axww', '-o', 'pid=,args='])
  return stdout.split('\n').filter((line) => line.includes(root))
}

const LIMIT_MS = 90_000

/** For what no event tells of. */
export async function until<T>(what: string, look: () => Promise<T | null> | T | null, limitMs = LIMIT_MS): Promise<T> {
  const deadline = Date.now() + limitMs
  for (;;) {
    const found = await look()
    if (found !== null) return found
    if (Date.now() > deadline) throw new Error(`waited ${limitMs / 1000} s for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
