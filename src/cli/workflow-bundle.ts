/** The workflows' bundle: made once per content of their source and kept in the cache, since bundling takes about a second. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { bundleWorkflowCode } from '@temporalio/worker'
import { cacheFolder } from '../cache-folder.ts'
import { workflowsPath } from '../workflows-path.ts'

/** Folders and files the workflows are made of, relative to the source. */
export const WORKFLOW_PARTS: readonly string[] = ['workflows', 'graph', 'errors', 'payloads']

export async function loadWorkflowBundle(env: NodeJS.ProcessEnv): Promise<{ code: string }> {
  const source = dirname(dirname(workflowsPath))
  const file = join(cacheFolder(env), 'workflows', `${hashSource(source)}.js`)
  if (existsSync(file)) return { code: readFileSync(file, 'utf8') }
  const logger = { log: quiet, trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet }
  const { code } = await bundleWorkflowCode({ workflowsPath, logger })
  await mkdir(dirname(file), { recursive: true })
  const temporary = `${file}.${process.pid}.tmp`
  await writeFile(temporary, withoutSourceMap(code))
  await rename(temporary, file)
  return { code: withoutSourceMap(code) }
}

/** The SDK wants a map in the bundle and parses it in every worker: an empty one spares half a second. */
function withoutSourceMap(code: string): string {
  const comment = code.lastIndexOf('//# sourceMappingURL=data:')
  const map = { version: 3, file: 'millrace-workflows.js', sources: [], names: [], mappings: '' }
  const encoded = Buffer.from(JSON.stringify(map)).toString('base64')
  return `${code.slice(0, comment)}//# sourceMappingURL=data:application/json;charset=utf-8;base64,${encoded}`
}

function quiet(): void {
  // Webpack's progress is of no use to who builds models; its errors are thrown.
}

function hashSource(source: string): string {
  const require = createRequire(import.meta.url)
  const sdk = (require('@temporalio/workflow/package.json') as { version: string }).version
  const hash = createHash('sha256').update(sdk)
  for (const part of WORKFLOW_PARTS) {
    const folder = join(source, part)
    const files = existsSync(folder)
      ? readdirSync(folder).map((name) => join(folder, name))
      : ['.ts', '.js'].map((extension) => `${folder}${extension}`).filter((file) => existsSync(file))
    for (const file of files.filter((name) => /\.[tj]s$/.test(name)).sort())
      hash.update(file).update(readFileSync(file))
  }
  return hash.digest('hex').slice(0, 24)
}
