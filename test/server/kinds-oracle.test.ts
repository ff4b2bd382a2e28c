/** What a build of each kind leaves behind, day by day, against what SQLMesh left for the same project. */
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { runCli } from '../helpers/cli.ts'
import { builtModels, openProject, type BuiltProject } from '../helpers/built-project.ts'
import { query } from '../helpers/project.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

interface Day {
  execution_time: string
  source_sql: string[]
  expected: Record<string, { columns: string[]; rows: (string | null)[][] }>
  /** Model as `"catalog"."schema"."name"`, start, end, count. */
  intervals: [string, string, string, string][]
}

const ORACLE = fileURLToPath(new URL('../oracles/kinds', import.meta.url))
const MODELS = ['seed_dim', 'seed_infer', 'full', 'vw', 'uses_emb', 'inc_time', 'inc_lookback', 'inc_ts', 'inc_int']
/** The other kinds. */
const EXCLUDE = 'k.inc_uk k.inc_part k.inc_unmanaged k.scd_*'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

test('every kind holds the rows, types and intervals that SQLMesh leaves, on each of three days', async () => {
  const { root, days } = await copyOracle()
  const project = await openProject(server, root, { database: 'kinds.db' })
  expect(days).toHaveLength(3)

  for (const [index, day] of days.entries()) {
    for (const sql of day.source_sql) await project.run(sql)
    const report = await project.build({ executionTime: day.execution_time, exclude: EXCLUDE })
    expect(report).toMatchObject({ status: 'succeeded', promoted: index === 0 })
    for (const name of MODELS) {
      expect({ name, ...(await contents(project, name)) }, day.execution_time).toEqual({ name, ...day.expected[name] })
    }
    expect(await intervals(project), day.execution_time).toEqual(oracleIntervals(day))
    // The seeds and the model without a table have nothing new.
    const again = MODELS.filter((name) => index === 0 || !name.startsWith('seed')).map((name) => `k.${name}`)
    expect(builtModels(report)).toEqual(again.sort())
  }

  const nothing = await project.build({ executionTime: '2024-01-06', exclude: EXCLUDE })
  expect(nothing).toMatchObject({ status: 'succeeded', promoted: false })
  expect(builtModels(nothing)).toEqual([])
})

test('the command builds it too, and accepts the state_connection with a notice', async () => {
  const { root, days } = await copyOracle()
  const [first] = days
  for (const sql of first?.source_sql ?? []) await query(join(root, 'kinds.db'), sql)

  const args = ['build', root, '--execution-time', '2024-01-04', '--exclude', EXCLUDE, '--json']
  const { code, stdout, stderr } = await runCli(args)

  expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining('state_connection') })
  // The embedded model has no table, so nothing is built for it; it is new all the same.
  expect(JSON.parse(stdout)).toMatchObject({
    project: root.split('/').at(-1),
    status: 'succeeded',
    promoted: true,
    counts: { success: MODELS.length + 1, error: 0, skipped: 0 },
  })
  const full = await query(join(root, 'kinds.db'), 'SELECT id::TEXT, v::TEXT, ds::TEXT, name FROM k.full ORDER BY ALL')
  expect(full.map((row) => Object.values(row))).toEqual(first?.expected['full']?.rows)
})

async function copyOracle(): Promise<{ root: string; days: Day[] }> {
  const root = await mkdtemp(join(tmpdir(), 'millrace-kinds-'))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  await cp(ORACLE, root, { recursive: true })
  return { root, days: JSON.parse(await readFile(join(ORACLE, 'expected.json'), 'utf8')) as Day[] }
}

/** A model's columns and rows as the oracle writes them. */
async function contents(project: BuiltProject, name: string): Promise<Day['expected'][string]> {
  const columns = await project.rows(`DESCRIBE k.${name}`)
  const described = columns.map(({ column_name, column_type }) => `${String(column_name)} ${String(column_type)}`)
  const rows = await project.rows(`SELECT * FROM k.${name} ORDER BY ALL`)
  return {
    columns: described,
    rows: rows.map((row) => Object.values(row).map((value, index) => asPython(value, described[index] ?? ''))),
  }
}

function asPython(value: unknown, column: string): string | null {
  if (value === null) return null
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value === 'number')
    return column.endsWith(' DOUBLE') && Number.isInteger(value) ? `${value}.0` : `${value}`
  if (typeof value === 'string') return value
  throw new TypeError(`no scalar in ${column}: ${JSON.stringify(value)}`)
}

/** First start and last end of each model's ledger; seeds have no interval of their own. */
async function intervals(project: BuiltProject): Promise<Record<string, string[]>> {
  const rows = await project.rows(
    `SELECT model, min(unit_start)::VARCHAR AS start, max(unit_end)::VARCHAR AS "end",
            sum(epoch(unit_end) - epoch(unit_start)) = epoch(max(unit_end)) - epoch(min(unit_start)) AS whole
     FROM millrace.ledger JOIN millrace.versions USING (version) WHERE kind <> 'SEED' GROUP BY model ORDER BY model`,
  )
  for (const { model, whole } of rows) expect({ model, whole }).toEqual({ model, whole: true })
  return Object.fromEntries(rows.map(({ model, start, end }) => [String(model), [String(start), String(end)]]))
}

function oracleIntervals({ intervals }: Day): Record<string, string[]> {
  const entries = intervals.map(([name, start, end]) => {
    return [name.replaceAll('"', '').replace('kinds.', ''), [start, end]] satisfies [string, string[]]
  })
  const ours = new Set(MODELS.filter((name) => !name.startsWith('seed')).map((name) => `k.${name}`))
  return Object.fromEntries(entries.filter(([name]) => ours.has(name)))
}
