import { spawn, type ChildProcess } from 'node:child_process'
import { z } from 'zod'
import { MillraceError } from '../../../errors.ts'
import { parseExpiry } from '../expiry.ts'
import { createToken, type Token } from '../token.ts'
import type { TokenFetcher } from '../token-fetcher.ts'

const OUTPUT_LIMIT_BYTES = 65_536
/** After the program's end, for what it left running to let go of its output. */
const OUTPUT_GRACE_MS = 500

export interface Command {
  argv: readonly [string, ...string[]]
  folder: string
  env: Record<string, string | undefined>
}

/**
 * Runs a program, without a shell, for each token, for as long as the asker's signal lets it. It prints the token, or JSON
 * `{ token, expires_at }`. Neither what it prints nor its standard error is ever shown: both may hold the token.
 */
export function createCommandFetcher(command: Command): TokenFetcher {
  return {
    fetch: async ({ signal }) => {
      const startedMs = Date.now()
      return parseOutput(await run(command, signal), startedMs)
    },
  }
}

function run({ argv: [program, ...args], folder, env }: Command, signal: AbortSignal | undefined): Promise<string> {
  signal?.throwIfAborted()
  return new Promise((resolve, reject) => {
    const options = { cwd: folder, env, windowsHide: true }
    // Its own process group, so that what it started ends with it.
    const child = spawn(program, args, { ...options, detached: true, stdio: ['ignore', 'pipe', 'ignore'] })
    const chunks: Buffer[] = []
    let bytes = 0
    const settle = (finish: () => void): void => {
      clearTimeout(grace)
      signal?.removeEventListener('abort', abort)
      finish()
    }
    const fail = (reason: unknown): void => settle(() => reject(reason))
    const stop = (reason: unknown): void => {
      killGroup(child)
      child.stdout.destroy()
      fail(reason)
    }
    const abort = (): void => stop(signal?.reason)
    let grace: NodeJS.Timeout | undefined
    signal?.addEventListener('abort', abort, { once: true })
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > OUTPUT_LIMIT_BYTES) stop(new Error(`${program} printed more than ${OUTPUT_LIMIT_BYTES} bytes`))
      else chunks.push(chunk)
    })
    child.once('error', (error) => fail(notStarted(program, error)))
    child.once('exit', () => {
      grace = setTimeout(() => child.stdout.destroy(), OUTPUT_GRACE_MS)
    })
    child.once('close', (code, killedBy) => {
      if (code === 0) settle(() => resolve(Buffer.concat(chunks).toString('utf8')))
      else fail(new Error(`${program} ended with ${killedBy ?? `exit status ${code}`}`))
    })
  })
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // No process groups here, or all of it has ended.
    child.kill('SIGKILL')
  }
}

function notStarted(program: string, error: Error): Error {
  const code = 'code' in error ? String(error.code) : 'unknown error'
  if (code !== 'ENOENT' && code !== 'EACCES') return new Error(`cannot start ${program}: ${code}`)
  return new MillraceError('CONFIG', `expected a program that prints a token; cannot start ${program}: ${code}`, {
    hint: 'The first word of `command` is a program on PATH, or a path relative to the project; no shell reads it.',
  })
}

const printedSchema = z.object({
  token: z.string().min(1),
  expires_at: z.union([z.string(), z.number()]).nullish(),
})

function parseOutput(output: string, startedMs: number): Token {
  const text = output.trim()
  if (text === '') throw new Error('the command printed nothing')
  if (!text.startsWith('{')) {
    if (text.includes('\n')) throw new Error('expected the command to print one line with a token, got several')
    return createToken(text, startedMs)
  }
  const printed = printedSchema.safeParse(parseJson(text))
  if (!printed.success)
    throw new Error('expected the command to print JSON { token, expires_at }, got other JSON or none')
  const { token, expires_at: written } = printed.data
  if (written === undefined || written === null) return createToken(token, startedMs)
  const expiresAtMs = parseExpiry(written)
  if (expiresAtMs === null)
    throw new Error('expected expires_at as ISO 8601 or in seconds since 1970, got something else')
  return createToken(token, startedMs, expiresAtMs)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
