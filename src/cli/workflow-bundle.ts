/**
 * The workflows' bundle, since bundling takes a second or more: the one that comes with the package where it is of this very
 * source, else one made once per content of the source and kept in the cache.
 */
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { cacheFolder } from '../cache-folder.ts'
import { workflowBundlePath, workflowsPath } from '../workflows-path.ts'
import { bundleFits, hashWorkflows, makeWorkflowBundle } from './make-workflow-bundle.ts'

/** @param shipped the file that came with the package; there is none in a checkout. */
export async function loadWorkflowBundle(
  env: NodeJS.ProcessEnv,
  shipped: string = workflowBundlePath,
): Promise<{ code: string }> {
  const key = hashWorkflows(dirname(dirname(workflowsPath)))
  const kept = join(cacheFolder(env), 'workflows', `${key}.js`)
  const found = readIfFits(shipped, key) ?? readIfFits(kept, key)
  if (found !== null) return { code: found }
  const code = await makeWorkflowBundle(workflowsPath, key)
  await writeAtOnce(kept, code)
  return { code }
}

/** Nobody ever sees half of the file. */
export async function writeAtOnce(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  const temporary = `${file}.${process.pid}.tmp`
  await writeFile(temporary, text)
  await rename(temporary, file)
}

function readIfFits(file: string, key: string): string | null {
  if (!existsSync(file)) return null
  const code = readFileSync(file, 'utf8')
  return bundleFits(code, key) ? code : null
}
