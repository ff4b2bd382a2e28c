/** `test --watch`: what changed in the folder decides which tests run again. */
import { watch } from 'chokidar'
import { relative } from 'node:path'
import { createModelGraph } from '../../graph/model-graph.ts'
import type { Project } from '../../project/project.ts'
import type { UnitTest } from '../../project/unit-tests/unit-test.ts'
import { onInterrupt } from '../interrupt.ts'

/** Editors write a file in several steps. */
const SETTLE_MS = 80

/** Parts of a project that tests depend on. */
const WATCHED = ['models', 'tests', 'audits', 'macros', 'seeds', 'external_models']

/**
 * Calls `run` with the files that changed, relative to the folder, whenever some did, one call at a time; until Ctrl-C.
 * @param ready called once, when changes are seen from then on.
 */
export async function watchFolder(
  root: string,
  run: (changed: readonly string[]) => Promise<void>,
  ready: () => Promise<void>,
): Promise<void> {
  const changed = new Set<string>()
  let timer: NodeJS.Timeout | null = null
  let running: Promise<void> = Promise.resolve()
  const watcher = watch(root, {
    ignoreInitial: true,
    ignored: (path: string) => !isWatched(relative(root, path)),
  })
  const interrupt = onInterrupt(() => {})
  const go = (): void => {
    running = after(running, async () => {
      const files = [...changed]
      changed.clear()
      if (files.length > 0) await run(files)
    })
  }
  watcher.on('all', (_, path) => {
    changed.add(relative(root, path).replaceAll('\\', '/'))
    if (timer !== null) clearTimeout(timer)
    timer = setTimeout(go, SETTLE_MS)
  })
  watcher.on('ready', () => {
    running = after(running, ready)
  })
  try {
    await interrupt.happened
  } finally {
    if (timer !== null) clearTimeout(timer)
    interrupt.remove()
    await watcher.close()
    await running
  }
}

async function after(before: Promise<void>, work: () => Promise<void>): Promise<void> {
  await before
  await work()
}

function isWatched(path: string): boolean {
  if (path === '') return true
  const [first = '', ...rest] = path.split(/[/\\]/)
  return WATCHED.includes(first) || (rest.length === 0 && (/\.ya?ml$/.test(first) || first === '.env'))
}

/** Tests whose answer a change of these files may change; all, where more than models and tests changed. */
export function affectedTests(tests: readonly UnitTest[], project: Project, changed: readonly string[]): UnitTest[] {
  const files = new Set(changed)
  const models = project.models.filter(({ file, enabled }) => enabled && files.has(file))
  const known = new Set([...models.map(({ file }) => file), ...tests.map(({ file }) => file)])
  if (changed.some((file) => !known.has(file))) return [...tests]
  const reached = reachable(
    project,
    models.map(({ name }) => name),
  )
  return tests.filter((test) => files.has(test.file) || reached.has(test.model))
}

/** The models and all that read them, directly or not. */
function reachable(project: Project, names: readonly string[]): Set<string> {
  const graph = createModelGraph(project.models.filter(({ enabled }) => enabled))
  const reached = new Set(names)
  // Parents come before children in `names`.
  for (const name of graph.names) if (graph.parents(name).some((parent) => reached.has(parent))) reached.add(name)
  return reached
}
