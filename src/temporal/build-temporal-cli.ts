/** Builds the Temporal CLI from its pinned Go module: the way that needs nothing but a Go toolchain and a module proxy. */
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Attempt, EXECUTABLE_SUFFIX, findProgram } from './find-program.ts'

/** Newer versions cannot be installed with `go install`: their go.mod has replace directives. */
export const TEMPORAL_CLI_VERSION = 'v1.5.1'

const MODULE = `github.com/temporalio/cli/cmd/temporal@${TEMPORAL_CLI_VERSION}`
const REPORT_MS = 5_000
const BUILD_LIMIT_MS = 20 * 60_000
const BUILD_PREFIX = '.build-'

/**
 * Leaves the program at `target`, complete or not at all. The caller holds the cache's lock, so nobody else builds.
 * Rejects when the signal aborts.
 */
export async function buildTemporalCli(
  target: string,
  options: { onProgress: (line: string) => void; env: NodeJS.ProcessEnv; signal?: AbortSignal | undefined },
): Promise<Attempt> {
  const { onProgress, env, signal } = options
  const go = findProgram('go', env)
  if (go === null) return { reason: 'no `go` program on PATH' }
  const folder = dirname(target)
  await mkdir(folder, { recursive: true })
  await removeLeftovers(folder)
  const scratch = await mkdtemp(join(folder, BUILD_PREFIX))
  const start = performance.now()
  const title = `Building the Temporal CLI ${TEMPORAL_CLI_VERSION} with Go (once, about 2–3 minutes)`
  onProgress(title)
  const elapsed = () => `${Math.round((performance.now() - start) / 1000)} s`
  const reporter = setInterval(() => onProgress(`${title} … ${elapsed()}`), REPORT_MS)
  try {
    const failure = await goInstall(go, scratch, { env, signal })
    signal?.throwIfAborted()
    if (failure !== null) return { reason: failure }
    await rename(join(scratch, `temporal${EXECUTABLE_SUFFIX}`), target)
    onProgress(`Built the Temporal CLI in ${elapsed()}: ${target}`)
    return { path: target }
  } finally {
    clearInterval(reporter)
    await rm(scratch, { recursive: true, force: true })
  }
}

/** What a build that was killed has left. */
async function removeLeftovers(folder: string): Promise<void> {
  const names = await readdir(folder)
  const leftovers = names.filter((name) => name.startsWith(BUILD_PREFIX))
  await Promise.all(leftovers.map((name) => rm(join(folder, name), { recursive: true, force: true })))
}

/** Null when it worked, else the end of what it printed. */
async function goInstall(
  go: string,
  target: string,
  options: { env: NodeJS.ProcessEnv; signal?: AbortSignal | undefined },
): Promise<string | null> {
  // Without symbols the program is a third smaller. A target platform or flags set for another build of the user's
  // would make a program that does not run here.
  const { GOOS: _os, GOARCH: _arch, GOFLAGS: _flags, ...inherited } = options.env
  const env = { ...inherited, GOBIN: target, GOWORK: 'off' }
  return new Promise((resolve) => {
    const child = spawn(go, ['install', '-ldflags=-s -w', MODULE], {
      cwd: target,
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: BUILD_LIMIT_MS,
      signal: options.signal,
    })
    let output = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-4_000)))
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code) => resolve(code === 0 ? null : lastLines(output) || `ended with code ${code}`))
  })
}

function lastLines(output: string): string {
  return output.trim().split('\n').slice(-3).join(' | ')
}
