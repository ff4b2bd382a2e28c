import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { bundleFits, hashWorkflows } from '../../src/cli/make-workflow-bundle.ts'
import { loadWorkflowBundle } from '../../src/cli/workflow-bundle.ts'
import { workflowsPath } from '../../src/index.ts'

const SOURCE = dirname(dirname(workflowsPath))
const KEY = hashWorkflows(SOURCE)

test('the bundle that came with the package is used where it is of this very source, without a look into the cache', async () => {
  const { shipped, env } = await createFolders()
  const code = `// millrace workflows ${KEY}\nshipped()`
  await writeFile(shipped, code)
  expect(await loadWorkflowBundle(env, shipped)).toEqual({ code })
})

test('another one is passed over: the bundle is made once, with the interceptor for headers in it, and then kept', async () => {
  const { shipped, env } = await createFolders()
  await writeFile(shipped, '// millrace workflows of-another-version\nshipped()')
  const { code } = await loadWorkflowBundle(env, shipped)
  expect(bundleFits(code, KEY)).toBe(true)
  for (const part of ['buildProject', 'src/workflows/pass-headers.ts']) expect(code.includes(part), part).toBe(true)
  const kept = join(env['MILLRACE_CACHE_DIR'] ?? '', 'workflows', `${KEY}.js`)
  await writeFile(kept, `${code}\nkept()`)
  expect((await loadWorkflowBundle(env, shipped)).code.endsWith('kept()')).toBe(true)
})

test('a source has the same key wherever it lies, and another one when a line of it changes', async () => {
  const { folder } = await createFolders()
  const copy = join(folder, 'src')
  await cp(SOURCE, copy, { recursive: true })
  expect(hashWorkflows(copy)).toBe(KEY)
  await writeFile(join(copy, 'graph', 'frontier.ts'), '// another one')
  expect(hashWorkflows(copy)).not.toBe(KEY)
})

async function createFolders(): Promise<{ folder: string; shipped: string; env: NodeJS.ProcessEnv }> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-bundle-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return { folder, shipped: join(folder, 'shipped.js'), env: { MILLRACE_CACHE_DIR: join(folder, 'cache') } }
}
