/** What people read through the views while builds run: the old, then the new, nothing between. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { builtModels, modelOf, openProject, statuses, type BuiltProject } from '../helpers/built-project.ts'
import { createProject, writeFiles } from '../helpers/project.ts'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

/** Fixed, so that a build never has more to do than the test gave it. */
const NOW = '2024-01-04'

//  a.base ──► a.left ──► a.bottom        a.other
//     └─────► a.right ──────┘
function diamond(generation: number): Record<string, string> {
  return {
    'models/base.sql': `MODEL (name a.base, kind FULL);\nSELECT ${generation} AS g, range AS id FROM range(2000)`,
    'models/left.sql': 'MODEL (name a.left, kind FULL);\nSELECT g, count(*) AS n FROM a.base GROUP BY g',
    'models/right.sql': 'MODEL (name a.right, kind VIEW);\nSELECT g, max(id) AS m FROM a.base GROUP BY g',
    'models/bottom.sql':
      'MODEL (name a.bottom, kind FULL);\nSELECT l.g, n, m FROM a.left AS l JOIN a.right AS r ON l.g = r.g',
    'models/other.sql': 'MODEL (name a.other, kind FULL);\nSELECT 7 AS x',
  }
}

const GENERATIONS = `SELECT (SELECT min(g) FROM a.base) AS base, (SELECT min(g) FROM a."left") AS "left",
  (SELECT min(g) FROM a."right") AS "right", (SELECT min(g) FROM a.bottom) AS bottom, (SELECT min(x) FROM a.other) AS other`

describe('one model changed', () => {
  test('a reader sees all old until promotion, all new after it, and never an error', async () => {
    const root = await createProject(diamond(1))
    const project = await openProject(server, root)
    await project.build({ executionTime: NOW })

    for (const generation of [2, 3, 4]) {
      await writeFiles(root, { 'models/base.sql': diamond(generation)['models/base.sql'] ?? '' })
      const reader = startReader(project)
      await reader.first
      const report = await project.build({ executionTime: NOW })
      expect(report).toMatchObject({ status: 'succeeded', promoted: true })
      const seen = await reader.stop()

      const [old, fresh] = [generation - 1, generation].map((g) =>
        JSON.stringify({ base: g, left: g, right: g, bottom: g, other: 7 }),
      )
      const turn = seen.indexOf(fresh ?? '')
      expect(seen.length).toBeGreaterThan(10)
      expect(turn).toBeGreaterThan(0)
      expect(new Set(seen.slice(0, turn))).toEqual(new Set([old]))
      expect(new Set(seen.slice(turn))).toEqual(new Set([fresh]))
    }
  })

  test('only that model and its descendants are built', async () => {
    const root = await createProject(diamond(1))
    const project = await openProject(server, root)
    const first = await project.build({ executionTime: NOW })
    expect(builtModels(first)).toEqual(['a.base', 'a.bottom', 'a.left', 'a.other', 'a.right'])

    await writeFiles(root, {
      'models/left.sql': 'MODEL (name a.left, kind FULL);\nSELECT g, count(*) + 1 AS n FROM a.base GROUP BY g',
    })
    const report = await project.build({ executionTime: NOW })
    expect(statuses(report)).toEqual({
      'a.base': 'unchanged',
      'a.left': 'success',
      'a.right': 'unchanged',
      'a.bottom': 'success',
      'a.other': 'unchanged',
    })
    expect(builtModels(report)).toEqual(['a.bottom', 'a.left'])
    expect(modelOf(report, 'a.left').reason).toBe('its definition changed')
    expect(modelOf(report, 'a.bottom').reason).toBe('a.left changed')
    expect(await project.rows('SELECT n FROM a.bottom')).toEqual([{ n: 2001 }])
  })
})

describe('a build that fails', () => {
  const broken = (text: string): Record<string, string> => ({
    'models/base.sql': 'MODEL (name a.base, kind FULL);\nSELECT 1 AS id',
    'models/middle.sql': `MODEL (name a.middle, kind FULL);\nSELECT id, ${text} AS v FROM a.base`,
    'models/end.sql': 'MODEL (name a.end, kind FULL);\nSELECT v FROM a.middle',
    'models/aside.sql': 'MODEL (name a.aside, kind FULL);\nSELECT 5 AS x',
  })

  test('makes no view at all the first time; after the fix only the missing part is built, then all appear', async () => {
    const root = await createProject(broken(`error('no luck')`))
    const project = await openProject(server, root)
    const failed = await project.build({ executionTime: NOW })
    expect(failed).toMatchObject({ status: 'failed', promoted: false })
    expect(statuses(failed)).toEqual({
      'a.base': 'success',
      'a.middle': 'error',
      'a.end': 'skipped',
      'a.aside': 'success',
    })
    expect(modelOf(failed, 'a.middle').error).toMatchObject({
      code: 'SQL',
      message: expect.stringContaining('no luck'),
    })
    expect(modelOf(failed, 'a.end').reason).toBe(`skipped because 'a.middle' failed`)
    expect(await project.names()).toEqual([])

    await writeFiles(root, broken('2'))
    const fixed = await project.build({ executionTime: NOW })
    expect(fixed).toMatchObject({ status: 'succeeded', promoted: true })
    expect(builtModels(fixed)).toEqual(['a.end', 'a.middle'])
    expect(await project.names()).toEqual(['view a.aside', 'view a.base', 'view a.end', 'view a.middle'])
    expect(await project.rows('SELECT v FROM a."end"')).toEqual([{ v: 2 }])
  })

  test('leaves every view as it was, of the models that succeeded too', async () => {
    const root = await createProject(broken('1'))
    const project = await openProject(server, root)
    await project.build({ executionTime: NOW })

    await writeFiles(root, {
      ...broken(`error('no luck')`),
      'models/aside.sql': 'MODEL (name a.aside, kind FULL);\nSELECT 6 AS x',
    })
    const failed = await project.build({ executionTime: NOW })
    expect(failed).toMatchObject({ status: 'failed', promoted: false })
    expect(modelOf(failed, 'a.aside').status).toBe('success')
    expect(await project.rows('SELECT x, v FROM a.aside, a."end"')).toEqual([{ x: 5, v: 1 }])

    // Nothing is left to build: the failed edit is taken back, the good one only has to be promoted.
    await writeFiles(root, { 'models/middle.sql': broken('1')['models/middle.sql'] ?? '' })
    const reverted = await project.build({ executionTime: NOW })
    expect(builtModels(reverted)).toEqual([])
    expect(reverted).toMatchObject({ status: 'succeeded', promoted: true })
    expect(await project.rows('SELECT x, v FROM a.aside, a."end"')).toEqual([{ x: 6, v: 1 }])
  })
})

describe('models that are gone', () => {
  async function renamed(): Promise<BuiltProject> {
    const root = await createProject({
      'models/one.sql': 'MODEL (name a.one, kind FULL);\nSELECT 1 AS x',
      'models/two.sql': 'MODEL (name a.two, kind FULL);\nSELECT x FROM a.one',
      'models/three.sql': 'MODEL (name a.three, kind VIEW);\nSELECT 3 AS x',
    })
    const project = await openProject(server, root)
    await project.build({ executionTime: NOW })
    // `one` and its reader are renamed, `three` is removed.
    await rm(join(root, 'models/three.sql'))
    await writeFiles(root, {
      'models/one.sql': 'MODEL (name a.uno, kind FULL);\nSELECT 1 AS x',
      'models/two.sql': 'MODEL (name a.two, kind FULL);\nSELECT x FROM a.uno',
    })
    return project
  }

  const tables = (project: BuiltProject): Promise<Record<string, unknown>[]> =>
    project.rows(
      `SELECT split_part(table_name, '__', 2) AS model FROM duckdb_tables() WHERE schema_name = 'millrace__a'
       UNION ALL SELECT split_part(view_name, '__', 2) FROM duckdb_views() WHERE schema_name = 'millrace__a' ORDER BY ALL`,
    )

  test('lose their views when all models are built; their tables stay', async () => {
    const project = await renamed()
    expect((await project.plan({ executionTime: NOW })).changes).toEqual([
      { model: 'a.uno', category: 'added', reason: 'new model' },
      { model: 'a.two', category: 'breaking', reason: 'its definition changed' },
      { model: 'a.one', category: 'removed', reason: 'it is not in the project any more' },
      { model: 'a.three', category: 'removed', reason: 'it is not in the project any more' },
    ])
    const report = await project.build({ executionTime: NOW })
    expect(report.promoted).toBe(true)
    expect(await project.names()).toEqual(['view a.two', 'view a.uno'])
    expect(await tables(project)).toEqual(['one', 'three', 'two', 'two', 'uno'].map((model) => ({ model })))
  })

  test('keep their views when a selection is built', async () => {
    const project = await renamed()
    const report = await project.build({ executionTime: NOW, select: 'a.uno a.two' })
    expect(report.promoted).toBe(true)
    expect(await project.names()).toEqual(['view a.one', 'view a.three', 'view a.two', 'view a.uno'])
    expect(await project.rows('SELECT * FROM a.three')).toEqual([{ x: 3 }])
  })

  test('lose their views when nothing else is to be done', async () => {
    const project = await renamed()
    await project.build({ executionTime: NOW, select: 'a.uno a.two' })
    const report = await project.build({ executionTime: NOW })
    expect(builtModels(report)).toEqual([])
    expect(report.promoted).toBe(true)
    expect(await project.names()).toEqual(['view a.two', 'view a.uno'])
  })
})

/** Reads all views in one query, again and again, on a connection of this process. */
function startReader(project: BuiltProject): { first: Promise<void>; stop(): Promise<string[]> } {
  const seen: string[] = []
  const { promise: first, resolve: saw } = promiseOf<void>()
  const ended = new AbortController()
  const reading = (async () => {
    await using lease = await project.lease('reader')
    while (!ended.signal.aborted) {
      const [row] = await lease.rows(GENERATIONS)
      seen.push(JSON.stringify(row))
      saw()
    }
    const [last] = await lease.rows(GENERATIONS)
    seen.push(JSON.stringify(last))
  })()
  onTestFinished(() => ended.abort())
  return {
    first: Promise.race([first, reading]),
    async stop() {
      ended.abort()
      await reading
      return seen
    },
  }
}

function promiseOf<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
