/** Real Quack servers of one test file, and connections to them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import { startQuackServer, type QuackServer } from '../helpers/quack-server.ts'

/** The one token of a server that has one. */
export const TOKEN = 'a-very-secret-token'

/** A server for the tests of a file or a group. @param token without it, those that tests add. */
export function quackServer(token?: string): () => QuackServer {
  const ends: (() => Promise<void>)[] = []
  let server: QuackServer | undefined
  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-quack-'))
    ends.push(async () => rmSync(folder, { recursive: true, force: true }))
    server = await startQuackServer({
      file: join(folder, 's.duckdb'),
      ...(token === undefined ? {} : { token }),
      onEnd: (end) => ends.unshift(end),
    })
  }, 240_000)
  afterAll(async () => {
    for (const end of ends) await end()
  })
  return () => {
    if (server === undefined) throw new Error('the server starts before the first test')
    return server
  }
}

/** A connection as it is written, for harnesses that have a file otherwise. */
export function connectionTo(
  { uri, extensions }: QuackServer,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return { type: 'quack', database: undefined, uri, token: TOKEN, extension_directory: extensions, ...more }
}

export interface Way {
  uri: string
  /** From here on answers are lost, and the connection with them. @returns how many were. */
  cutAnswers(): () => number
}

/** A way to a server that can be cut, until the test ends. */
export async function wayTo({ port }: QuackServer): Promise<Way> {
  let cut: number | null = null
  const way = createServer((client) => {
    const server = connect(port, 'localhost')
    const end = (): void => {
      client.destroy()
      server.destroy()
    }
    for (const socket of [client, server]) socket.on('error', end).on('close', end)
    client.on('data', (data) => server.write(data))
    server.on('data', (data) => {
      if (cut === null) client.write(data)
      else {
        cut += 1
        end()
      }
    })
  })
  await new Promise<void>((resolve) => way.listen(0, 'localhost', resolve))
  onTestFinished(() => void way.close())
  return {
    uri: `quack:localhost:${(way.address() as AddressInfo).port}`,
    cutAnswers: () => {
      cut = 0
      return () => cut ?? 0
    },
  }
}

/** Counts up a sequence `busy` of the server as it begins. Ten million rows are some milliseconds. */
export function busyQuery(rows: number): string {
  return `SELECT count(*) AS n FROM range(${rows}) WHERE range % 7 <= (SELECT least(nextval('busy'), 3))`
}

/** When this many statements with a `busyQuery` have begun on the server. */
export async function untilBusy(server: QuackServer, statements = 1): Promise<void> {
  await eventually(async () => {
    const [row] = await server.run<{ n: number | null }>(
      "SELECT last_value::INTEGER AS n FROM duckdb_sequences() WHERE sequence_name = 'busy'",
    )
    return (row?.n ?? 0) >= statements
  })
}

export async function eventually(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20))
}

export async function errorOf(work: Promise<unknown>): Promise<Error> {
  try {
    await work
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('expected an error')
}
