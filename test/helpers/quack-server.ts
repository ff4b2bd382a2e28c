/** Real Quack servers of tests, each in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { onTestFinished } from 'vitest'
import { extensionDirectory } from './extensions.ts'
import { freePort } from './free-port.ts'

export interface QuackServer {
  /** `quack:localhost:PORT` */
  uri: string
  port: number
  /** For `extension_directory`. */
  extensions: string
  /** Runs SQL in the server itself, in the catalog of its file. */
  run<T = Record<string, unknown>>(sql: string): Promise<T[]>
  /** Lets sessions in that come with this token. */
  addToken(token: string, lifeMs: number): Promise<void>
  /** No session is let in with it any more. */
  revoke(token: string): Promise<void>
  /** Sessions that asked to be let in since it started. */
  asked(): Promise<number>
  /** SIGKILL. */
  kill(): Promise<void>
  /** On the same port and file. Tokens of the table are forgotten. */
  restart(): Promise<void>
}

export interface QuackServerOptions {
  /** The database. */
  file: string
  /** The one token; without it, those of `addToken`. */
  token?: string
  /** Its working directory. Default: this process's. */
  cwd?: string
  /** Leave out for the end of the test. */
  onEnd?: (end: () => Promise<void>) => void
}

const SCRIPT = fileURLToPath(new URL('./quack-server-process.ts', import.meta.url))
const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

/** Ends with the test, and with this process, however that ends. */
export async function startQuackServer({
  file,
  token,
  cwd = process.cwd(),
  onEnd = onTestFinished,
}: QuackServerOptions): Promise<QuackServer> {
  const extensions = await extensionDirectory('httpfs', 'quack')
  const port = await freePort('localhost')
  const args = ['--import', TSX, SCRIPT, file, String(port), extensions, ...(token === undefined ? [] : [token])]
  let running = await start(args, cwd)
  onEnd(() => kill(running))
  const run = <T>(sql: string): Promise<T[]> => ask<T>(running, sql)
  return {
    uri: `quack:localhost:${port}`,
    port,
    extensions,
    run,
    addToken: async (added, lifeMs) => {
      await run(`INSERT INTO auth.tokens VALUES ('${added}', now() + INTERVAL (${lifeMs}) MILLISECONDS)`)
    },
    revoke: async (revoked) => {
      await run(`DELETE FROM auth.tokens WHERE token = '${revoked}'`)
    },
    asked: async () => {
      const [row] = await run<{ n: number | null }>(
        "SELECT coalesce(last_value, 0)::INTEGER AS n FROM duckdb_sequences() WHERE sequence_name = 'asked'",
      )
      return row?.n ?? 0
    },
    kill: () => kill(running),
    restart: async () => {
      await kill(running)
      running = await start(args, cwd)
    },
  }
}

interface Running {
  child: ChildProcess
  lines: Interface
  /** Answers come in the order of questions. */
  waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[]
}

async function start(args: string[], cwd: string): Promise<Running> {
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'], cwd })
  if (child.stdout === null) throw new Error('the server has no output')
  const lines = createInterface({ input: child.stdout })
  const running: Running = { child, lines, waiting: [] }
  lines.on('line', (line) => running.waiting.shift()?.resolve(line))
  child.once('exit', () => {
    for (const { reject } of running.waiting.splice(0)) reject(new Error('the server has ended'))
  })
  // Its questions fail instead.
  child.stdin?.on('error', () => undefined)
  await answer(running)
  return running
}

async function ask<T>(running: Running, sql: string): Promise<T[]> {
  running.child.stdin?.write(`${JSON.stringify(sql)}\n`)
  return answer<T>(running)
}

async function answer<T>({ child, waiting }: Running): Promise<T[]> {
  if (child.exitCode !== null || child.signalCode !== null) throw new Error('the server has ended')
  const line = await new Promise<string>((resolve, reject) => waiting.push({ resolve, reject }))
  const { rows, error } = JSON.parse(line) as { rows?: T[]; error?: string }
  if (error !== undefined) throw new Error(error)
  return rows ?? []
}

async function kill({ child }: Running): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}
