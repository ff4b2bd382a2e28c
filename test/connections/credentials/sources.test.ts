import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { parseCredential } from '../../../src/connections/credentials/credential.ts'
import {
  createTokenSource,
  type TokenSource,
  type TokenSourceOptions,
} from '../../../src/connections/credentials/token-source.ts'
import { createJwt } from './jwt.ts'
import { CLIENT_SECRET, createOAuthServer, oauth2Config } from './oauth-server.ts'

let root: string

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-sources-')))
})

afterEach(() => rmSync(root, { recursive: true, force: true }))

function sourceOf(raw: unknown, options: TokenSourceOptions = {}): TokenSource {
  return createTokenSource(parseCredential(raw, { root, name: 'token' }), { refreshTimeoutMs: 400, ...options })
}

async function valueOf(source: TokenSource): Promise<string> {
  return (await source.get()).value
}

async function errorOf(promise: Promise<unknown>): Promise<Error> {
  const outcome: unknown = await promise.catch((error: unknown) => error)
  expect(outcome).toBeInstanceOf(Error)
  return outcome as Error
}

/** Why the source has no token, without waiting until it gives up; nothing that it prints may hold `secret`. */
async function problemOf(source: TokenSource, secret: string): Promise<string> {
  const controller = new AbortController()
  const asked = source.get({ signal: controller.signal }).catch((error: unknown) => error)
  await vi.waitUntil(() => source.snapshot().problem !== null, { interval: 5, timeout: 20_000 })
  controller.abort()
  const { problem } = source.snapshot()
  expect(inspect([await asked, source, source.snapshot()], { depth: 9, showHidden: true })).not.toContain(secret)
  return String(problem)
}

describe('env', () => {
  test('is read at each use', async () => {
    const env: Record<string, string> = { TOKEN: ' one\n' }
    const source = sourceOf({ env: 'TOKEN' }, { env })
    const first = await source.get()
    expect(first.value).toBe('one')
    expect(await source.get()).toBe(first)
    env['TOKEN'] = 'two'
    expect(await valueOf(source)).toBe('two')
  })

  test('a variable that is not set, and a token in it that has expired, are said at once', async () => {
    const missing = await errorOf(sourceOf({ env: 'TOKEN' }, { env: {}, refreshTimeoutMs: 60_000 }).get())
    expect(missing).toMatchObject({ code: 'CONFIG', message: expect.stringContaining('TOKEN, which is not set') })
    const jwt = createJwt({ exp: 1_700_000_000 })
    const expired = await errorOf(sourceOf({ env: 'TOKEN' }, { env: { TOKEN: jwt }, refreshTimeoutMs: 60_000 }).get())
    expect(expired).toMatchObject({ code: 'CONFIG', message: 'the token in TOKEN expired at 2023-11-14T22:13:20.000Z' })
    expect(inspect(expired)).not.toContain(jwt)
  })
})

describe('file', () => {
  test('is read again when it is written anew, replaced, or its link is turned', async () => {
    const path = join(root, 'token')
    const source = sourceOf({ file: 'token' })
    writeFileSync(path, 'one\n')
    expect(await valueOf(source)).toBe('one')
    writeFileSync(path, 'two\n')
    expect(await valueOf(source)).toBe('two')
    writeFileSync(join(root, 'next'), 'six\n')
    renameSync(join(root, 'next'), path)
    expect(await valueOf(source)).toBe('six')
    for (const version of ['v1', 'v2']) {
      mkdirSync(join(root, version))
      writeFileSync(join(root, version, 'token'), version)
    }
    rmSync(path)
    symlinkSync('v1/token', path)
    expect(await valueOf(source)).toBe('v1')
    symlinkSync('v2/token', join(root, 'turned'))
    renameSync(join(root, 'turned'), path)
    expect(await valueOf(source)).toBe('v2')
  })

  test('is not read while it does not change', async () => {
    writeFileSync(join(root, 'token'), 'one')
    const source = sourceOf({ file: 'token' })
    // A file written just now is read again, in case it is written again within the same tick.
    await vi.waitUntil(async () => {
      const before = source.snapshot().fetches
      await source.get()
      return source.snapshot().fetches === before
    })
    const { fetches } = source.snapshot()
    for (let i = 0; i < 100; i++) await source.get()
    expect(source.snapshot().fetches).toBe(fetches)
  })

  test('the token in hand is used while the file is away; without one the wait ends with its path', async () => {
    const path = join(root, 'token')
    writeFileSync(path, 'one')
    const source = sourceOf({ file: 'token' })
    await source.get()
    rmSync(path)
    expect(await valueOf(source)).toBe('one')
    expect(await errorOf(sourceOf({ file: 'token' }).get())).toMatchObject({
      code: 'CREDENTIALS',
      message: `no token from file ${path} within 0.4 s: cannot read ${path}: ENOENT`,
    })
  })

  test('a database is never opened, so that its lock stays', async () => {
    const path = join(root, 'w.db')
    const instance = await DuckDBInstance.create(path)
    const connection = await instance.connect()
    await connection.run('CREATE TABLE t AS SELECT 1 AS a; CHECKPOINT')
    try {
      expect(await errorOf(sourceOf({ file: 'w.db' }).get())).toMatchObject({ code: 'CONFIG' })
      const locks = readFileSync('/proc/locks', 'utf8').split('\n')
      expect(locks.filter((line) => line.split(/\s+/)[4] === String(process.pid))).not.toEqual([])
    } finally {
      connection.closeSync()
      instance.closeSync()
    }
    // Closed, it is still no file with a token.
    expect(await errorOf(sourceOf({ file: 'w.db' }).get())).toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('expected a file of at most 12000 bytes that holds a token'),
    })
    expect(await errorOf(sourceOf({ file: root }).get())).toMatchObject({ code: 'CONFIG' })
  })
})

describe('command', () => {
  const node = (script: string, ...args: string[]) => ({ command: [process.execPath, '-e', script, ...args] })

  test('prints a token, or JSON with its expiry', async () => {
    expect((await sourceOf(node('console.log("plain-token")'), { refreshTimeoutMs: 20_000 }).get()).value).toBe(
      'plain-token',
    )
    const inAnHourS = Math.floor(Date.now() / 1000) + 3600
    const iso = new Date(inAnHourS * 1000).toISOString()
    for (const written of [inAnHourS, iso]) {
      const token = await sourceOf(
        node('console.log(process.argv[1])', JSON.stringify({ token: 'a', expires_at: written })),
        { refreshTimeoutMs: 20_000 },
      ).get()
      expect(token).toMatchObject({ expiresAtMs: inAnHourS * 1000 })
      expect(token.value).toBe('a')
    }
  })

  test('runs in the project’s folder, for each token anew', async () => {
    writeFileSync(
      join(root, 'print'),
      '#!/bin/sh\nn=$(cat n 2>/dev/null || echo 0)\nn=$((n+1))\necho $n > n\necho "token-$n"\n',
    )
    chmodSync(join(root, 'print'), 0o755)
    const source = sourceOf({ command: ['./print'] })
    const first = await source.get()
    expect(first.value).toBe('token-1')
    expect(await source.get()).toBe(first)
    source.refused(first)
    expect(await valueOf(source)).toBe('token-2')
  })

  test.each([
    ['an exit status', 'console.error("t0ken-x"); console.log("t0ken-x"); process.exit(3)', 'ended with exit status 3'],
    ['nothing printed', 'console.error("t0ken-x")', 'printed nothing'],
    ['several lines', 'console.log("Welcome\\nt0ken-x")', 'one line with a token, got several'],
    ['other JSON', 'console.log(JSON.stringify({ tokken: "t0ken-x" }))', 'JSON { token, expires_at }'],
    ['broken JSON', 'console.log("{t0ken-x")', 'JSON { token, expires_at }'],
    [
      'an expiry that is none',
      'console.log(JSON.stringify({ token: "t0ken-x", expires_at: "soon" }))',
      'expires_at as ISO 8601',
    ],
    ['an expired token', 'console.log(JSON.stringify({ token: "t0ken-x", expires_at: 1e9 }))', 'expired at 2001-09-09'],
    ['too much', 'console.log("t0ken-x".repeat(20000))', 'printed more than 65536 bytes'],
  ])('%s is an error that shows nothing of what was printed', async (_, script, message) => {
    // The script is in a file, so that the credential's name does not hold the token.
    writeFileSync(join(root, 'print.cjs'), script)
    const source = sourceOf({ command: [process.execPath, 'print.cjs'] }, { refreshTimeoutMs: 60_000 })
    expect(await problemOf(source, 't0ken-x')).toContain(message)
  })

  test('a program that is not there is said at once', async () => {
    const error = await errorOf(sourceOf({ command: ['no-such-program-here'] }, { refreshTimeoutMs: 60_000 }).get())
    expect(error).toMatchObject({ code: 'CONFIG', message: expect.stringContaining('no-such-program-here: ENOENT') })
  })

  test('what it leaves running keeps nobody waiting', async () => {
    const startedMs = performance.now()
    const source = sourceOf({ command: ['sh', '-c', 'sleep 20 & echo "$!"'] }, { refreshTimeoutMs: 10_000 })
    const pid = Number(await valueOf(source))
    expect(performance.now() - startedMs).toBeLessThan(5000)
    process.kill(pid, 'SIGKILL')
  })

  test('an abort ends it and all it started', async () => {
    const marks = join(root, 'pids')
    const source = sourceOf(
      { command: ['sh', '-c', `sleep 60 & echo "$$ $!" > ${marks}; wait`] },
      { refreshTimeoutMs: 60_000 },
    )
    const controller = new AbortController()
    const asked = source.get({ signal: controller.signal })
    const pids = await vi.waitUntil(() => {
      try {
        return /^\d+ \d+\n/.exec(readFileSync(marks, 'utf8'))?.[0].trim().split(' ')
      } catch {
        return null
      }
    })
    const reason = new Error('cancelled')
    controller.abort(reason)
    expect(await errorOf(asked)).toBe(reason)
    await vi.waitUntil(() => pids?.every((pid) => !isRunning(pid)))
  })
})

describe('oauth2', () => {
  test('a server gives a token and says how long it lives', async () => {
    const server = await createOAuthServer(100)
    try {
      const beforeMs = Date.now()
      const token = await sourceOf(oauth2Config(server)).get()
      expect(server.issued).toEqual([token.value])
      expect(token.expiresAtMs).toBeGreaterThanOrEqual(beforeMs + 100_000)
      expect(token.expiresAtMs).toBeLessThanOrEqual(Date.now() + 100_000)
    } finally {
      await server.stop()
    }
  })

  test('its client secret may come from another credential, read for each token', async () => {
    const server = await createOAuthServer(100)
    writeFileSync(join(root, 'secret'), 'wrong')
    const { oauth2 } = oauth2Config(server)
    try {
      const source = sourceOf(
        { oauth2: { ...oauth2, client_secret: { file: 'secret' } } },
        { refreshTimeoutMs: 20_000 },
      )
      const asked = source.get()
      await vi.waitUntil(() => source.snapshot().failures > 0)
      expect(source.snapshot().problem).toBe(`${server.tokenUrl} answered with status 401: invalid_client`)
      writeFileSync(join(root, 'secret'), CLIENT_SECRET)
      expect(server.issued).toEqual([(await asked).value])
    } finally {
      await server.stop()
    }
  })

  test.each<[string, object, number | null, RegExp]>([
    ['a wrong secret', { client_secret: `${CLIENT_SECRET}-wrong` }, null, /answered with status 401: invalid_client$/],
    ['a wrong scope', { scope: 'write' }, null, /answered with status 400: invalid_scope$/],
    ['an unknown client', { client_id: 'writer' }, null, /answered with status 401: invalid_client$/],
    ['a gateway’s error page', {}, 503, /answered with status 503: no OAuth answer$/],
    ['a page instead of JSON', {}, 200, /answered with status 200: no OAuth answer$/],
    ['a redirect', {}, 302, /answered with status 302: no OAuth answer$/],
  ])('%s is an error with status and code, and no secret', async (_, change, status, message) => {
    const server = await createOAuthServer(100)
    server.status = status
    try {
      const source = sourceOf({ oauth2: { ...oauth2Config(server).oauth2, ...change } })
      const error = await errorOf(source.get())
      expect(error).toMatchObject({ code: 'CREDENTIALS', message: expect.stringMatching(message) })
      expect(error.message).toMatch(/^no token from oauth2 client "(reader|writer)" at http:\/\/127/)
      expect(error.message).toContain(server.tokenUrl)
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(CLIENT_SECRET)
    } finally {
      await server.stop()
    }
  })
})

/** A service that makes tokens as MotherDuck's REST API does. */
describe('motherduck', () => {
  const ADMIN = 'the-admin-token-77'
  const asked: { method: string | undefined; url: string | undefined; body: Record<string, unknown> }[] = []
  let answer: (response: ServerResponse) => void
  const server = createServer((request: IncomingMessage, response) => {
    let body = ''
    request.on('data', (chunk) => (body += String(chunk)))
    request.once('end', () => {
      asked.push({ method: request.method, url: request.url, body: JSON.parse(body) as Record<string, unknown> })
      response.setHeader('content-type', 'application/json')
      if (request.headers.authorization === `Bearer ${ADMIN}`) return answer(response)
      response.statusCode = 401
      response.end(JSON.stringify({ code: 'UNAUTHORIZED', message: `bad ${String(request.headers.authorization)}` }))
    })
  })
  let motherduckUrl: string

  beforeEach(async () => {
    asked.length = 0
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    motherduckUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })

  afterEach(() => new Promise((resolve) => server.closeAllConnections() ?? server.close(resolve)))

  const raw = { motherduck: { username: 'etl/prod', admin_token: { env: 'ADMIN' }, ttl: 900 } }

  test('a token of the service account is made over the REST API', async () => {
    const expiresAtMs = Date.now() + 600_000
    answer = (response) =>
      response.end(
        JSON.stringify({ token: 'md-1', id: '1', expire_at: new Date(expiresAtMs).toISOString(), read_only: false }),
      )
    const token = await sourceOf(raw, { env: { ADMIN }, motherduckUrl }).get()
    expect(token.value).toBe('md-1')
    expect(token.expiresAtMs).toBe(expiresAtMs)
    expect(asked).toEqual([
      {
        method: 'POST',
        url: '/v1/users/etl%2Fprod/tokens',
        body: { name: expect.stringMatching(/^millrace-/) as unknown, ttl: 900, token_type: 'read_write' },
      },
    ])
  })

  test('a token whose expiry is not said lives as long as was asked for', async () => {
    answer = (response) => response.end(JSON.stringify({ token: 'md-1' }))
    const beforeMs = Date.now()
    const { expiresAtMs } = await sourceOf(raw, { env: { ADMIN }, motherduckUrl }).get()
    expect(expiresAtMs).toBeGreaterThanOrEqual(beforeMs + 900_000)
    expect(expiresAtMs).toBeLessThanOrEqual(Date.now() + 900_000)
  })

  test('a refusal says status and code, and no secret', async () => {
    const error = await errorOf(sourceOf(raw, { env: { ADMIN: `${ADMIN}-wrong` }, motherduckUrl }).get())
    expect(error).toMatchObject({ code: 'CREDENTIALS', message: expect.stringMatching(/status 401: UNAUTHORIZED$/) })
    expect(inspect(error, { depth: 9 })).not.toContain(ADMIN)
  })
})

describe('function', () => {
  test('is told who asks, and returns a text or a token with its expiry', async () => {
    const seen: unknown[] = []
    const source = sourceOf((auth: object) => {
      seen.push(auth)
      return { token: 'f-1', expiresAtMs: Date.now() + 60_000 }
    })
    const token = await source.get({ workflowId: 'w', activityId: 'a', attempt: 2, values: { tenant: 'north' } })
    expect(token.value).toBe('f-1')
    expect(token.expiresAtMs).toBeGreaterThan(Date.now() + 50_000)
    expect(seen).toEqual([
      expect.objectContaining({ workflowId: 'w', activityId: 'a', attempt: 2, values: { tenant: 'north' } }),
    ])
    expect((await sourceOf(() => 'text').get()).value).toBe('text')
    expect((await sourceOf(async () => 'later').get()).value).toBe('later')
  })

  test.each<[string, () => unknown, string]>([
    [
      'that throws',
      () => {
        throw new Error('vault is sealed\nheaders: …')
      },
      'the function failed: vault is sealed',
    ],
    ['that returns nothing', () => undefined, 'expected the function to return a text'],
    ['that returns a date', () => ({ token: 'x', expiresAtMs: new Date() }), 'expected expiresAtMs to be milliseconds'],
  ])('one %s is an error', async (_, getToken, message) => {
    const error = await errorOf(sourceOf(getToken).get())
    expect(error).toMatchObject({
      code: 'CREDENTIALS',
      message: expect.stringMatching(new RegExp(`: ${message}[^\\n]*$`)),
    })
  })
})

function isRunning(pid: string): boolean {
  const state = execFileSync('sh', ['-c', `ps -o stat= -p ${pid} || true`], { encoding: 'utf8' }).trim()
  return state !== '' && !state.startsWith('Z')
}
