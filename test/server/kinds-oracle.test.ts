/** What a build of each kind leaves behind, day by day, against what SQLMesh left for the same project. */
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { runCli } from '../helpers/cli.ts'
import { builtModels, modelOf, openProject, type BuiltProject } from '../helpers/built-project.ts'
import { query } from '../helpers/project.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

type Row = (string | null)[]

interface Day {
  execution_time: string
  source_sql: string[]
  expected: Record<string, { columns: string[]; rows: Row[] }>
  /** Model as `"catalog"."schema"."name"`, start, end, count. */
  intervals: [string, string, string, string][]
}

const ORACLE = fileURLToPath(new URL('../oracles/kinds', import.meta.url))
/** Where SQLMesh is wrong, by model: its rows → the right ones. */
const RIGHT: Record<string, (rows: Row[]) => Row[]> = {
  // The first load has two rows with id 1. SQLMesh keeps both; a key has one, which sorts last over all columns.
  inc_uk: (rows) => rows.filter(([id, v]) => !(id === '1' && v === '1')),
  // On the second day id 1 has another status, and a note. SQLMesh writes the note into the row that closes as well, which never had it.
  scd_col: (rows) => rows.map((row) => (row[0] === '1' && row[1] === 'new' ? row.with(2, null) : row)),
}

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
    const report = await project.build({ executionTime: day.execution_time })
    expect(report).toMatchObject({ status: 'succeeded', promoted: index === 0 })
    for (const [name, expected] of Object.entries(day.expected)) {
      const right = sorted(RIGHT[name]?.(expected.rows) ?? expected.rows)
      const { columns, rows } = await contents(project, name)
      expect({ name, columns, rows: sorted(rows) }, day.execution_time).toEqual({
        name,
        columns: expected.columns,
        rows: right,
      })
    }
    expect(await intervals(project), day.execution_time).toEqual(oracleIntervals(day))
    // The seeds and the model without a table have nothing new.
    const built = Object.keys(day.expected).filter((name) => index === 0 || !name.startsWith('seed'))
    expect(builtModels(report)).toEqual(built.map((name) => `k.${name}`).sort())
    if (index === 0) expect(modelOf(report, 'k.inc_uk')).toMatchObject({ rows: 3, rowsDuplicate: 1 })
  }

  const nothing = await project.build({ executionTime: '2024-01-06' })
  expect(nothing).toMatchObject({ status: 'succeeded', promoted: false })
  expect(builtModels(nothing)).toEqual([])
})

test.each([
  ['inc_uk', 'a key has one row, from the first load on', ['1', '1', '2024-01-01'], null],
  [
    'scd_col',
    'a closed row never changes',
    ['1', 'new', 'x1', '1970-01-01 00:00:00', '2024-01-05 00:00:00'],
    ['1', 'new', null, '1970-01-01 00:00:00', '2024-01-05 00:00:00'],
  ],
])('in %s SQLMesh is wrong: %s', async (name, _why, theirs, ours) => {
  const { days } = await copyOracle()
  const rows = days[1]?.expected[name]?.rows ?? []
  expect(rows).toContainEqual(theirs)
  const right = RIGHT[name]?.(rows) ?? []
  expect(right).not.toContainEqual(theirs)
  if (ours !== null) expect(right).toContainEqual(ours)
  expect(right).toHaveLength(rows.length - (ours === null ? 1 : 0))
})

test('the command builds it too, and accepts the state_connection with a notice', async () => {
  const { root, days } = await copyOracle()
  const [first] = days
  for (const sql of first?.source_sql ?? []) await query(join(root, 'kinds.db'), sql)

  const args = ['build', root, '--execution-time', '2024-01-04', '--json']
  const { code, stdout, stderr } = await runCli(args)

  expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining('state_connection') })
  // The embedded model has no table, so nothing is built for it; it is new all the same.
  expect(JSON.parse(stdout)).toMatchObject({
    project: root.split('/').at(-1),
    status: 'succeeded',
    promoted: true,
    counts: { success: Object.keys(first?.expected ?? {}).length + 1, error: 0, skipped: 0 },
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
  return Object.fromEntries(entries.filter(([name]) => !name.startsWith('k.seed') && name !== 'k.emb'))
}

/** Python and DuckDB sort NULLs to different ends. */
function sorted(rows: readonly Row[]): string[] {
  return rows.map((row) => JSON.stringify(row)).sort()
}
