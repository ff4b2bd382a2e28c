import { beforeAll, describe, expect, test } from 'vitest'
import { readSourceTree, type Import, type SourceFile } from './source-tree.ts'

/**
 * What each unit of the source may import: at run time, and for types besides. `node:` stands for every built-in.
 * A unit is a folder of src, a file beside them, or a single file named here. What is not in the table may not be imported.
 */
const MAY_IMPORT: Record<string, { values: readonly string[]; types: readonly string[] }> = {
  // Pure: no built-in, no database, no Temporal, no clock.
  errors: { values: [], types: [] },
  payloads: { values: [], types: [] },
  'search-attributes': { values: [], types: [] },
  'project/model': { values: [], types: [] },
  graph: { values: ['errors', 'project/model', 'cron-parser'], types: ['payloads'] },
  sql: { values: ['errors'], types: ['project/model'] },
  // The sandbox: what it imports at run time is in the bundle.
  workflows: {
    values: ['errors', 'payloads', 'search-attributes', 'graph', '@temporalio/workflow', '@temporalio/common'],
    types: ['activities', 'state', 'project'],
  },
  connections: {
    values: ['errors', 'dispose-symbols', 'sql', 'node:', '@duckdb/node-api', 'zod', 'oauth4webapi'],
    types: [],
  },
  project: {
    values: ['errors', 'project/model', 'graph', 'sql', 'node:', '@duckdb/node-api', 'nunjucks', 'yaml', 'zod'],
    types: ['payloads'],
  },
  // Unit tests of models: the database in memory is handed in.
  'unit-tests': { values: ['errors', 'sql', 'project', 'node:'], types: ['project/model', 'connections'] },
  state: { values: ['errors', 'payloads', 'graph', 'sql', 'connections', 'zod'], types: ['project/model', 'project'] },
  activities: {
    values: [
      'errors',
      'payloads',
      'search-attributes',
      'project/model',
      'graph',
      'sql',
      'connections',
      'project',
      'state',
      'node:',
      '@temporalio/activity',
      '@temporalio/common',
    ],
    types: ['@temporalio/client'],
  },
  temporal: {
    values: [
      'errors',
      'cache-folder',
      'search-attributes',
      'node:',
      'zod',
      '@temporalio/client',
      '@temporalio/envconfig',
      '@temporalio/testing',
    ],
    types: ['@temporalio/worker'],
  },
  extensions: { values: ['errors', 'connections', 'temporal', 'node:'], types: [] },
  'connection-metrics': { values: [], types: ['connections', '@temporalio/common'] },
  plugin: {
    values: [
      'errors',
      'connection-metrics',
      'connections',
      'activities',
      'workflows-path',
      '@temporalio/plugin',
      '@temporalio/worker',
    ],
    types: ['@temporalio/activity'],
  },
  'cache-folder': { values: ['node:'], types: [] },
  'workflows-path': { values: ['node:'], types: [] },
  'dispose-symbols': { values: [], types: [] },
  cli: {
    values: [
      'errors',
      'payloads',
      'search-attributes',
      'project/model',
      'graph',
      'sql',
      'connections',
      'project',
      'unit-tests',
      'state',
      'activities',
      'temporal',
      'extensions',
      'plugin',
      'cache-folder',
      'workflows-path',
      'dispose-symbols',
      'node:',
      'chokidar',
      'zod',
      '@temporalio/client',
      '@temporalio/common',
      '@temporalio/proto',
      '@temporalio/worker',
    ],
    types: [],
  },
  // Entries.
  index: { values: ['errors', 'connections', 'plugin', 'workflows-path', 'dispose-symbols'], types: ['payloads'] },
  testing: { values: ['connections', 'temporal', 'dispose-symbols'], types: [] },
  bin: { values: ['cli'], types: [] },
  'fetch-extensions': { values: ['cli'], types: [] },
  'client.ts': { values: ['cli'], types: [] },
  'worker.ts': { values: ['cli'], types: [] },
}

const PURE = ['errors', 'payloads', 'search-attributes', 'project/model', 'graph', 'sql']

/** Standard in every JavaScript engine of today, the workflow sandbox included, though Node's types declare them. */
const STANDARD_GLOBALS = ['TextEncoder', 'TextDecoder']

/** The files that open or parse with DuckDB; everything else goes through them. */
const DUCKDB_FILES = [/^src\/connections\//, /^src\/project\/sql-parser\.ts$/]

let tree: SourceFile[]

beforeAll(() => {
  tree = readSourceTree()
})

describe('imports', () => {
  test('the compiler sees the whole source', () => {
    expect(tree.length).toBeGreaterThan(150)
    expect(tree.flatMap(({ imports }) => imports).length).toBeGreaterThan(500)
    const model = tree.find(({ path }) => path === 'src/workflows/step-run.ts')
    expect(model?.imports).toContainEqual({
      specifier: '../activities/index.ts',
      file: 'src/activities/index.ts',
      package: null,
      kind: 'type',
    })
  })

  test('every unit of the source has its rule', () => {
    const units = new Set(tree.map(({ path }) => unitOf(path)))
    expect([...units].sort()).toEqual(Object.keys(MAY_IMPORT).sort())
  })

  test('every file imports only what its unit may', () => {
    expect(tree.flatMap((file) => file.imports.flatMap((entry) => violation(file.path, entry)))).toEqual([])
  })

  test('nothing but an entry imports the command line, and workflows are reached by path, not by import', () => {
    const importers = (unit: string): string[] =>
      tree
        .filter(
          ({ path, imports }) =>
            unitOf(path) !== unit && imports.some(({ file }) => file !== null && unitOf(file) === unit),
        )
        .map(({ path }) => path)
        .sort()
    expect(importers('cli')).toEqual(['client.ts', 'src/bin.ts', 'src/fetch-extensions.ts', 'worker.ts'])
    expect(importers('workflows')).toEqual([])
  })

  test('DuckDB is loaded by the connections and the SQL parser alone', () => {
    const loaders = tree.filter(({ imports }) =>
      imports.some((entry) => entry.package?.startsWith('@duckdb/') === true),
    )
    expect(loaders.map(({ path }) => path).filter((path) => !DUCKDB_FILES.some((known) => known.test(path)))).toEqual(
      [],
    )
  })

  test('files import each other without cycles, types included', () => {
    expect(findCycle(new Map(tree.map(({ path, imports }) => [path, imports.flatMap(({ file }) => file ?? [])])))).toBe(
      null,
    )
  })

  test('units import each other at run time without cycles', () => {
    const units = new Map<string, string[]>()
    for (const { path, imports } of tree) {
      const others = imports.filter(
        ({ kind, file }) => kind === 'value' && file !== null && unitOf(file) !== unitOf(path),
      )
      units.set(unitOf(path), [...(units.get(unitOf(path)) ?? []), ...others.map(({ file }) => unitOf(file ?? ''))])
    }
    expect(findCycle(units)).toBe(null)
  })
})

describe('pure code', () => {
  test('has no clock and no chance', () => {
    const impure = tree.filter(({ path }) => PURE.includes(unitOf(path)))
    expect(impure.length).toBeGreaterThan(25)
    expect(usesOf(impure, 'clock')).toEqual([])
  })

  test('uses no global of Node: no process, no performance, no timers', () => {
    const pure = tree.filter(({ path }) => [...PURE, 'workflows'].includes(unitOf(path)))
    expect(usesOf(pure, 'node')).toEqual([])
  })

  test('is told from other code by the same look: code that reads the clock and the process is found', () => {
    const uses = usesOf(tree, 'clock').join('\n') + usesOf(tree, 'node').join('\n')
    for (const name of ['Date.now', 'process', 'Buffer', 'Math.random']) expect(uses).toContain(name)
  })
})

function usesOf(files: readonly SourceFile[], from: 'node' | 'clock'): string[] {
  return files.flatMap(({ path, globals }) =>
    globals
      .filter((use) => use.from === from && !STANDARD_GLOBALS.includes(use.name))
      .map(({ name, line }) => `${path}:${line} uses ${name}`),
  )
}

function unitOf(path: string): string {
  const inside = path.replace(/^src\//, '')
  if (inside === path) return path
  const [first = ''] = inside.split('/')
  const file = inside.replace(/\.ts$/, '')
  return file in MAY_IMPORT ? file : first.replace(/\.ts$/, '')
}

function violation(path: string, entry: Import): string[] {
  const unit = unitOf(path)
  const rule = MAY_IMPORT[unit] ?? { values: [], types: [] }
  const to =
    entry.file === null ? (entry.package?.startsWith('node:') ? 'node:' : (entry.package ?? '')) : unitOf(entry.file)
  const allowed = entry.kind === 'type' ? [unit, ...rule.values, ...rule.types] : [unit, ...rule.values]
  return allowed.includes(to)
    ? []
    : [`${path} imports ${entry.kind === 'type' ? 'types' : 'values'} of ${entry.specifier}`]
}

/** The path of one cycle; null when there is none. */
function findCycle(edges: ReadonlyMap<string, readonly string[]>): string | null {
  const done = new Set<string>()
  const path: string[] = []
  const walk = (node: string): string | null => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node].join(' → ')
    if (done.has(node)) return null
    path.push(node)
    for (const next of edges.get(node) ?? []) {
      const cycle = walk(next)
      if (cycle !== null) return cycle
    }
    path.pop()
    done.add(node)
    return null
  }
  for (const node of edges.keys()) {
    const cycle = walk(node)
    if (cycle !== null) return cycle
  }
  return null
}
