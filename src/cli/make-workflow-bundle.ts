/** Makes the workflows' bundle, and tells what it is made of. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, extname, join, relative } from 'node:path'

/** Folders and files the workflows are made of, relative to the source. */
export const WORKFLOW_PARTS: readonly string[] = ['workflows', 'graph', 'errors', 'payloads', 'search-attributes']

/** Stands before the key in a bundle's first line. */
const MARK = '// millrace workflows '

/** @param source the folder with the parts. @returns a key that changes with the content of any of them and with the SDK's version. */
export function hashWorkflows(source: string): string {
  const require = createRequire(import.meta.url)
  const sdk = (require('@temporalio/workflow/package.json') as { version: string }).version
  const hash = createHash('sha256').update(sdk)
  for (const part of WORKFLOW_PARTS) {
    const folder = join(source, part)
    const files = existsSync(folder)
      ? readdirSync(folder).map((name) => join(folder, name))
      : ['.ts', '.js'].map((extension) => `${folder}${extension}`).filter((file) => existsSync(file))
    for (const file of files.filter((name) => /(?<!\.d)\.[tj]s$/.test(name)).sort())
      hash.update(relative(source, file)).update(readFileSync(file))
  }
  return hash.digest('hex').slice(0, 24)
}

/** Whether `code` was made from what `key` stands for. */
export function bundleFits(code: string, key: string): boolean {
  return code.startsWith(`${MARK}${key}\n`)
}

/**
 * With the interceptor that passes headers on in it, since none can be added to a bundle later: a start without headers is the same
 * with it.
 */
export async function makeWorkflowBundle(workflowsPath: string, key: string): Promise<string> {
  // The SDK with its bundler is loaded only where there is something to bundle.
  const { bundleWorkflowCode } = await import('@temporalio/worker')
  const { code } = await bundleWorkflowCode({
    workflowsPath,
    workflowInterceptorModules: [join(dirname(workflowsPath), `pass-headers${extname(workflowsPath)}`)],
    logger: { log: quiet, trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet },
  })
  return `${MARK}${key}\n${withoutSourceMap(code)}`
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
