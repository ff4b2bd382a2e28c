/** The SDK's own download of the Temporal CLI. */
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Attempt } from './find-program.ts'

const LIMIT_MS = 10_000
const FOLDER_PREFIX = '.download-'

/** A network that did not answer once is not asked again by this process: every command would wait for it anew. */
let failed: Attempt | null = null

/**
 * Leaves the program at `target`, complete or not at all, within 10 s. The SDK downloads only as part of starting a
 * test server, and its download cannot be cancelled; so a process of its own does it, which can be killed with all it
 * started, and this process's SDK runtime stays untouched. Rejects when the signal aborts.
 */
export async function downloadTemporalCli(
  target: string,
  options: { onProgress: (line: string) => void; env: NodeJS.ProcessEnv; signal?: AbortSignal | undefined },
): Promise<Attempt> {
  if (failed !== null) return failed
  options.onProgress('Downloading the Temporal CLI')
  const folder = dirname(target)
  await mkdir(folder, { recursive: true })
  await removeLeftovers(folder)
  // A folder of its own: the SDK waits for an unfinished download that it finds.
  const scratch = await mkdtemp(join(folder, FOLDER_PREFIX))
  try {
    const reason = await download(scratch, options)
    options.signal?.throwIfAborted()
    // The server that starts after the download is not needed; the program is there as soon as it has its final name.
    const [program] = (await readdir(scratch)).filter((name) => !name.endsWith('.downloading'))
    if (program === undefined) return (failed = { reason })
    await rename(join(scratch, program), target)
    return { path: target }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** What a command that was killed has left. */
async function removeLeftovers(folder: string): Promise<void> {
  const names = await readdir(folder)
  const leftovers = names.filter((name) => name.startsWith(FOLDER_PREFIX))
  await Promise.all(leftovers.map((name) => rm(join(folder, name), { recursive: true, force: true })))
}

/** Resolves, when there is nothing more to expect, to why there may be no program. */
async function download(
  folder: string,
  options: { env: NodeJS.ProcessEnv; signal?: AbortSignal | undefined },
): Promise<string> {
  const testing = createRequire(import.meta.url).resolve('@temporalio/testing')
  const { NODE_OPTIONS: _options, ...env } = options.env
  const child = spawn(process.execPath, ['-e', DOWNLOAD, '--', testing, folder], {
    env,
    detached: process.platform !== 'win32',
    windowsHide: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const kill = () => killWithChildren(child.pid)
  let output = ''
  let late = false
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-4_000)))
  const timer = setTimeout(() => {
    late = true
    kill()
  }, LIMIT_MS)
  options.signal?.addEventListener('abort', kill)
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', () => resolve())
    })
  } finally {
    clearTimeout(timer)
    options.signal?.removeEventListener('abort', kill)
    // On every way out: a test server that the SDK left behind.
    kill()
  }
  if (late) return `not done after ${LIMIT_MS / 1000} s`
  return output.trim().split('\n').at(-1) ?? 'no reason given'
}

function killWithChildren(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL')
  } catch {
    // All gone.
  }
}

/** Plain JavaScript in a string, because it must run without a loader, from source and from a build alike. */
const DOWNLOAD = `
const [testing, downloadDir] = process.argv.slice(1)
const { TestWorkflowEnvironment } = require(testing)
TestWorkflowEnvironment.createLocal({ server: { executable: { type: 'cached-download', downloadDir } } })
  .then((environment) => environment.teardown())
  .catch((error) => {
    console.error(error.message.split('\\n')[0])
    process.exit(1)
  })
`
