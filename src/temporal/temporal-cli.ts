/** Where the `temporal` program comes from: PATH, our cache, the SDK's download, the pinned Go module. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { cacheFolder } from '../cache-folder.ts'
import { MillraceError } from '../errors.ts'
import { buildTemporalCli, TEMPORAL_CLI_VERSION } from './build-temporal-cli.ts'
import { downloadTemporalCli } from './download-temporal-cli.ts'
import { type Attempt, EXECUTABLE_SUFFIX, findProgram, isExecutable } from './find-program.ts'
import { withProcessLock } from './process-lock.ts'

export interface TemporalCli {
  /** Absolute path of a program that runs on this machine. */
  path: string
  source: 'PATH' | 'download' | 'built'
}

export interface TemporalCliOptions {
  /** One line of text for the user, whenever something takes long. */
  onProgress: (line: string) => void
  signal?: AbortSignal | undefined
  /** PATH, MILLRACE_CACHE_DIR, XDG_CACHE_HOME and proxies are read from it; default: this process's environment. */
  env?: NodeJS.ProcessEnv
}

/**
 * The first of: `temporal` on PATH; the program in the per-user cache; the SDK's download (10 s at most); the pinned
 * Go module, built once per user however many processes ask at the same time.
 * Throws `TEMPORAL_UNAVAILABLE`, listing each way and why it failed.
 */
export async function resolveTemporalCli(options: TemporalCliOptions): Promise<TemporalCli> {
  const { onProgress, signal, env = process.env } = options
  const installed = await findInstalled(env)
  if ('path' in installed) return { path: installed.path, source: 'PATH' }
  const cache = join(cacheFolder(env), 'temporal-cli')
  const cached = await findCached(cache)
  if (cached !== null) return cached
  const tried = [`PATH: ${installed.reason}`]
  try {
    const lock = join(cache, 'lock')
    const onWait = (holder: number | null, waitedMs: number) =>
      onProgress(
        `Waiting for process ${holder ?? 'unknown'}, which is getting the Temporal CLI … ${Math.round(waitedMs / 1000)} s`,
      )
    const cli = await withProcessLock(lock, { onWait, signal }, () =>
      provide(cache, { onProgress, signal, env }, tried),
    )
    if (cli !== null) return cli
  } catch (error) {
    if (signal?.aborted === true) throw error
    tried.push(`cache ${cache}: ${messageOf(error)}`)
  }
  throw new MillraceError(
    'TEMPORAL_UNAVAILABLE',
    `No Temporal server can be started. Tried:\n  ${tried.join('\n  ')}`,
    {
      hint:
        'Install the Temporal CLI (https://docs.temporal.io/cli) or Go 1.25 or newer (https://go.dev/dl), ' +
        'or name a running server with --address HOST:PORT',
    },
  )
}

const VERSION_LIMIT_MS = 10_000

async function findInstalled(env: NodeJS.ProcessEnv): Promise<Attempt> {
  const path = findProgram('temporal', env)
  if (path === null) return { reason: 'no `temporal` program' }
  return (await isTemporalCli(path))
    ? { path }
    : { reason: `${path} --version does not answer as the Temporal CLI does` }
}

async function findCached(cache: string): Promise<TemporalCli | null> {
  const built = builtPath(cache)
  if (isExecutable(built) && (await isTemporalCli(built))) return { path: built, source: 'built' }
  const downloaded = downloadedPath(cache)
  if (isExecutable(downloaded) && (await isTemporalCli(downloaded))) return { path: downloaded, source: 'download' }
  return null
}

/** Called under the cache's lock; adds to `tried` what failed. */
async function provide(
  cache: string,
  options: Required<Omit<TemporalCliOptions, 'signal'>> & Pick<TemporalCliOptions, 'signal'>,
  tried: string[],
): Promise<TemporalCli | null> {
  // Whoever held the lock before us may have put it there.
  const cached = await findCached(cache)
  if (cached !== null) return cached
  const download = await downloadTemporalCli(downloadedPath(cache), options)
  if ('path' in download) return { path: download.path, source: 'download' }
  tried.push(`download: ${download.reason}`)
  const build = await buildTemporalCli(builtPath(cache), options)
  if ('path' in build) return { path: build.path, source: 'built' }
  tried.push(`go install: ${build.reason}`)
  return null
}

function builtPath(cache: string): string {
  return join(cache, TEMPORAL_CLI_VERSION, `temporal${EXECUTABLE_SUFFIX}`)
}

function downloadedPath(cache: string): string {
  return join(cache, 'download', `temporal${EXECUTABLE_SUFFIX}`)
}

/** Asks the program itself: a broken file, one of another platform, or another program of that name is not it. */
async function isTemporalCli(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(path, ['--version'], { stdio: ['ignore', 'pipe', 'ignore'], timeout: VERSION_LIMIT_MS })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    child.once('error', () => resolve(false))
    child.once('close', (code) => resolve(code === 0 && /temporal version/i.test(output)))
  })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
