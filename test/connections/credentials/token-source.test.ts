import { AsyncLocalStorage } from 'node:async_hooks'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { AuthContext } from '../../../src/connections/credentials/auth-context.ts'
import { parseCredential, type GivenToken } from '../../../src/connections/credentials/credential.ts'
import {
  createTokenSource,
  type TokenSource,
  type TokenSourceOptions,
} from '../../../src/connections/credentials/token-source.ts'
import { isExpired, type Token } from '../../../src/connections/credentials/token.ts'
import { exitOf, firstLine, sourcePath, startScript } from '../../helpers/tsx-script.ts'
import { CLIENT_SECRET, createOAuthServer, oauth2Config, type OAuthServer } from './oauth-server.ts'

function sourceOf(raw: unknown, options: TokenSourceOptions = {}): TokenSource {
  return createTokenSource(parseCredential(raw, { root: tmpdir(), name: 'token' }), options)
}

const inMs = (token: string, lifeMs: number): GivenToken => ({ token, expiresAtMs: Date.now() + lifeMs })

/** A function that answers when it is told to. */
function createDesk() {
  const asked: { auth: AuthContext; answer: (given: GivenToken) => void; fail: (error: Error) => void }[] = []
  const getToken = (auth: AuthContext) =>
    new Promise<GivenToken>((answer, fail) => {
      asked.push({ auth, answer, fail })
    })
  const nth = async (index: number) => {
    await vi.waitUntil(() => asked.length > index, { interval: 5, timeout: 10_000 })
    const one = asked[index]
    if (one === undefined) throw new Error('unreachable')
    return one
  }
  return { asked, getToken, nth }
}

describe('against a real OAuth2 server whose tokens live 2 s', () => {
  let server: OAuthServer

  beforeEach(async () => {
    server = await createOAuthServer(2)
  })

  afterEach(() => server.stop())

  test('50 askers over several lives cause one fetch per expiry, and none gets an expired token', async () => {
    const source = sourceOf(oauth2Config(server))
    const endMs = performance.now() + 7000
    let expired = 0
    let asks = 0
    server.answerAfterMs = 50
    const askers = Array.from({ length: 50 }, async (_, index) => {
      await delay(index * 7)
      while (performance.now() < endMs) {
        const token = await source.get()
        asks += 1
        if (isExpired(token, Date.now()) || !server.issued.includes(token.value)) expired += 1
        await delay(20 + index)
      }
    })
    await Promise.all(askers)
    expect(expired).toBe(0)
    expect(asks).toBeGreaterThan(2000)
    // A life is 2 s, refreshed after 1.6 s: 7 s are 4 refreshes and the first fetch.
    expect(server.requests).toBeGreaterThanOrEqual(4)
    expect(server.requests).toBeLessThanOrEqual(5)
    expect(new Set(server.issued).size).toBe(server.requests)
    expect(source.snapshot()).toMatchObject({ fetches: server.requests, failures: 0, waiting: 0, problem: null })
  })

  test('while the server is down the good token is handed out, then all wait, then all go on', async () => {
    const source = sourceOf(oauth2Config(server))
    const first = await source.get()
    await server.stop()
    await delay(1700)
    // Due, not expired.
    expect(await source.get()).toBe(first)
    expect(source.snapshot().failures).toBeGreaterThan(0)
    await delay(Number(first.expiresAtMs) - Date.now())
    const beats: number[] = []
    const asks = Array.from({ length: 20 }, (_, index) =>
      source.get({ heartbeat: () => void (beats[index] = (beats[index] ?? 0) + 1) }),
    )
    await delay(2500)
    expect(source.snapshot()).toMatchObject({
      waiting: 20,
      problem: expect.stringMatching(/cannot reach .*: ECONNREFUSED/),
    })
    expect(beats.length).toBe(20)
    expect(Math.min(...beats)).toBeGreaterThanOrEqual(2)
    const before = server.requests
    await server.start()
    const tokens = await Promise.all(asks)
    expect(new Set(tokens).size).toBe(1)
    expect(tokens[0]).not.toBe(first)
    expect(isExpired(tokens[0]!, Date.now())).toBe(false)
    expect(server.requests - before).toBe(1)
  })

  test('a token refused early is replaced once, however many say so', async () => {
    const source = sourceOf(oauth2Config(server))
    const first = await source.get()
    const tokens = await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        await delay(index % 5)
        source.refused(first)
        return source.get()
      }),
    )
    expect(server.requests).toBe(2)
    expect(new Set(tokens).size).toBe(1)
    expect(tokens[0]?.value).toBe(server.issued[1])
  })

  test('when the one who fetches is cancelled, one of those who wait fetches', async () => {
    server.answerAfterMs = 300
    const source = sourceOf(oauth2Config(server))
    const controller = new AbortController()
    const cancelled = source.get({ signal: controller.signal }).catch((error: unknown) => error)
    const waiting = Array.from({ length: 10 }, () => source.get())
    await vi.waitUntil(() => server.requests === 1, { interval: 5 })
    const reason = new Error('the activity was cancelled')
    controller.abort(reason)
    expect(await cancelled).toBe(reason)
    const tokens = await Promise.all(waiting)
    expect(new Set(tokens).size).toBe(1)
    expect(server.requests).toBe(2)
    expect(source.snapshot()).toMatchObject({ fetches: 2, failures: 0 })
  })

  test('nothing prints a secret: neither source, nor token, nor snapshot, nor error', async () => {
    const heard: string[] = []
    const source = sourceOf(oauth2Config(server), { refreshTimeoutMs: 1000 })
    const token = await source.get()
    source.refused(token)
    server.status = 500
    const error: unknown = await source
      .get({ heartbeat: (message) => heard.push(message) })
      .catch((error: unknown) => error)
    const printed = [source, token, source.snapshot(), error, source.identity, heard]
      .flatMap((value) => [inspect(value, { depth: 9, showHidden: false }), JSON.stringify(value)])
      .join('\n')
    expect(heard).not.toEqual([])
    for (const secret of [CLIENT_SECRET, ...server.issued]) expect(printed).not.toContain(secret)
  })
})

describe('one fetch at a time', () => {
  test('the next in line takes over in its own context', async () => {
    const desk = createDesk()
    const source = sourceOf(desk.getToken)
    const first = new AbortController()
    const lost = source.get({ activityId: 'a1', signal: first.signal }).catch(() => 'lost')
    const second = source.get({ activityId: 'a2' })
    const third = source.get({ activityId: 'a3' })
    const { auth } = await desk.nth(0)
    first.abort()
    expect(await lost).toBe('lost')
    expect(auth.signal?.aborted).toBe(true)
    const next = await desk.nth(1)
    expect(next.auth.activityId).toBe('a2')
    next.answer('t')
    expect((await second).value).toBe('t')
    expect(await third).toBe(await second)
    expect(desk.asked.length).toBe(2)
  })

  test('one who waits leaves at once when it is cancelled; the fetch goes on', async () => {
    const desk = createDesk()
    const source = sourceOf(desk.getToken)
    const controller = new AbortController()
    const first = source.get()
    const second = source.get({ signal: controller.signal }).catch((error: unknown) => error)
    const reason = new Error('no longer needed')
    controller.abort(reason)
    expect(await second).toBe(reason)
    const desk0 = await desk.nth(0)
    desk0.answer('t')
    expect((await first).value).toBe('t')
    expect(source.snapshot()).toMatchObject({ fetches: 1, waiting: 0 })
  })

  test('one who comes cancelled asks for nothing', async () => {
    const desk = createDesk()
    const reason = new Error('before')
    await expect(sourceOf(desk.getToken).get({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(desk.asked).toEqual([])
  })

  test('a heartbeat that throws ends its own wait only', async () => {
    const desk = createDesk()
    const source = sourceOf(desk.getToken)
    const gone = new Error('the activity is gone')
    const first = source
      .get({
        heartbeat: () => {
          throw gone
        },
      })
      .catch((error: unknown) => error)
    const second = source.get()
    expect(await first).toBe(gone)
    const taken = await desk.nth(1)
    taken.answer('t')
    expect((await second).value).toBe('t')
  })

  test('askers that come and are cancelled at random neither get stuck nor cause two fetches at a time', async () => {
    holdClockWithinTurns()
    let running = 0
    let most = 0
    let calls = 0
    const source = sourceOf(async ({ signal }: AuthContext) => {
      calls += 1
      most = Math.max(most, ++running)
      try {
        await delay(calls % 7, undefined, { signal })
        if (calls % 5 === 0) throw new Error('not now')
        return inMs(`t${calls}`, 40)
      } finally {
        running -= 1
      }
    })
    const asks = Array.from({ length: 400 }, async (_, index) => {
      await delay((index * 37) % 900)
      const cancel = new AbortController()
      const timer = index % 3 === 0 ? setTimeout(() => cancel.abort('cancelled'), index % 11) : undefined
      const outcome: unknown = await source.get({ signal: cancel.signal }).catch((error: unknown) => error)
      clearTimeout(timer)
      if (outcome === 'cancelled') return 'cancelled'
      return isExpired(outcome as Token, Date.now()) ? 'expired' : 'token'
    })
    const outcomes = await Promise.all(asks)
    expect(outcomes.filter((outcome) => outcome === 'token').length).toBeGreaterThan(260)
    expect(outcomes.filter((outcome) => outcome === 'cancelled').length).toBeGreaterThan(5)
    expect(outcomes).not.toContain('expired')
    expect(most).toBe(1)
    expect(source.snapshot()).toMatchObject({ waiting: 0, fetches: calls })
  })

  test('two sources never wait for each other', async () => {
    const desk = createDesk()
    const slow = sourceOf(desk.getToken).get()
    expect((await sourceOf(() => 'quick').get()).value).toBe('quick')
    const { answer } = await desk.nth(0)
    answer('slow')
    expect((await slow).value).toBe('slow')
  })
})

describe('ahead of expiry', () => {
  test('a refresh that hangs does not make anybody wait until the good token has expired', async () => {
    const desk = createDesk()
    const source = sourceOf(desk.getToken)
    const asked = source.get()
    const { answer } = await desk.nth(0)
    answer(inMs('one', 1500))
    const first = await asked
    await delay(1250)
    const startedMs = performance.now()
    const again = await Promise.all([source.get(), source.get()])
    expect(again).toEqual([first, first])
    expect(performance.now() - startedMs).toBeLessThan(220)
    expect(isExpired(again[0], Date.now())).toBe(false)
    expect((await desk.nth(1)).auth.signal?.aborted).toBe(true)
  })

  test('who comes while another’s refresh is slow does not wait for it long', async () => {
    const desk = createDesk()
    const source = sourceOf(desk.getToken)
    const asked = source.get()
    const { answer } = await desk.nth(0)
    answer(inMs('one', 60_000))
    const first = await asked
    vi.spyOn(Date, 'now').mockReturnValue(Number(first.expiresAtMs) - 8000)
    try {
      const slow = source.get()
      const startedMs = performance.now()
      expect(await Promise.all([source.get(), source.get()])).toEqual([first, first])
      expect(performance.now() - startedMs).toBeLessThan(1500)
      const refresh = await desk.nth(1)
      refresh.answer(inMs('two', 60_000))
      expect((await slow).value).toBe('two')
      expect(await source.get()).toBe(await slow)
    } finally {
      vi.restoreAllMocks()
    }
  })

  test('a refresh that failed is not repeated by everybody who comes', async () => {
    let calls = 0
    const source = sourceOf(() => {
      calls += 1
      if (calls === 1) return inMs('one', 60_000)
      throw new Error('not now')
    })
    const first = await source.get()
    vi.spyOn(Date, 'now').mockReturnValue(Number(first.expiresAtMs) - 5000)
    try {
      for (let i = 0; i < 50; i++) expect(await source.get()).toBe(first)
      expect(calls).toBe(2)
    } finally {
      vi.restoreAllMocks()
    }
  })

  test('a source that gives the same token again leaves it as it is', async () => {
    const expiresAtMs = Date.now() + 500
    const source = sourceOf(() => ({ token: 'same', expiresAtMs }))
    const first = await source.get()
    await delay(420)
    expect(await source.get()).toBe(first)
    expect(source.snapshot().fetches).toBe(2)
  })
})

test('a refused token that the source gives again is handed out as a new one', async () => {
  const source = sourceOf(() => 'only')
  const first = await source.get()
  source.refused(first)
  const second = await source.get()
  expect(second).not.toBe(first)
  expect(second.value).toBe('only')
  source.refused(first)
  expect(await source.get()).toBe(second)
  expect(source.snapshot().fetches).toBe(2)
})

test('a source that never answers ends in an error that names it', async () => {
  const source = sourceOf(
    function askVault() {
      return new Promise<string>(() => {})
    },
    { refreshTimeoutMs: 300 },
  )
  const asks = [source.get(), source.get()].map((asked) => asked.catch((error: unknown) => error))
  for (const error of await Promise.all(asks)) {
    expect(error).toMatchObject({
      name: 'MillraceError',
      code: 'CREDENTIALS',
      message: expect.stringMatching(/^no token from function askVault #\d+ within 0.3 s: it did not answer$/),
    })
  }
})

test('failures are spaced, the more of them the wider, and forgotten after a success', async () => {
  const calls: number[] = []
  let broken = true
  const source = sourceOf(
    () => {
      calls.push(performance.now())
      if (broken) throw new Error('not now')
      return 'fine'
    },
    { refreshTimeoutMs: 2000 },
  )
  await expect(source.get()).rejects.toMatchObject({
    code: 'CREDENTIALS',
    cause: { message: 'the function failed: not now' },
  })
  expect(calls.length).toBeGreaterThanOrEqual(4)
  expect(calls.length).toBeLessThanOrEqual(7)
  broken = false
  expect((await source.get()).value).toBe('fine')
  expect(source.snapshot()).toMatchObject({ failures: calls.length - 1, problem: null })
})

test('a function that repeats a token in its error does not make it known', async () => {
  let calls = 0
  const source = sourceOf(
    () => {
      calls += 1
      if (calls === 1) return 'leaky-token'
      throw new Error('leaky-token was revoked')
    },
    { refreshTimeoutMs: 200 },
  )
  source.refused(await source.get())
  const error: unknown = await source.get().catch((error: unknown) => error)
  expect(error).toMatchObject({ message: expect.stringContaining('<token> was revoked') })
  expect(inspect(error, { depth: 9 })).not.toContain('leaky-token')
})

describe('the asker’s asynchronous context', () => {
  const storage = new AsyncLocalStorage<string>()

  test('is that of the function, also after a wait and a takeover', async () => {
    const seen: (string | undefined)[] = []
    const source = sourceOf(async () => {
      seen.push(storage.getStore())
      await delay(5)
      seen.push(storage.getStore())
      if (seen.length <= 4) throw new Error('again')
      return 'x'
    })
    const controller = new AbortController()
    const lost = storage.run('one', () => source.get({ signal: controller.signal })).catch(() => null)
    const kept = storage.run('two', () => source.get())
    await vi.waitUntil(() => seen.length === 2, { interval: 1 })
    controller.abort()
    await lost
    await kept
    expect(seen.slice(0, 2)).toEqual(['one', 'one'])
    expect(new Set(seen.slice(2))).toEqual(new Set(['two']))
  })

  test('is forgotten when the token is there', async () => {
    const server = await createOAuthServer(100)
    let folder = ''
    try {
      // A process of its own, started so that its garbage can be collected on request.
      folder = mkdtempSync(join(tmpdir(), 'millrace-context-'))
      const script = `
        import { AsyncLocalStorage } from 'node:async_hooks'
        import { setFlagsFromString } from 'node:v8'
        import { runInNewContext } from 'node:vm'
        import { parseCredential } from '${sourcePath('src/connections/credentials/credential.ts')}'
        import { createTokenSource } from '${sourcePath('src/connections/credentials/token-source.ts')}'
        setFlagsFromString('--expose-gc')
        const gc = runInNewContext('gc')
        const config = ${JSON.stringify(oauth2Config(server))}
        const source = createTokenSource(parseCredential(config, { root: '/', name: 'token' }))
        const storage = new AsyncLocalStorage()
        async function ask() {
          const context = { activity: 'done' }
          await storage.run(context, () => source.get({ heartbeat: () => context.activity }))
          return new WeakRef(context)
        }
        const kept = await ask()
        for (let i = 0; i < 20 && kept.deref() !== undefined; i++) {
          await new Promise((resolve) => setTimeout(resolve, 10))
          gc()
        }
        console.log(JSON.stringify({ kept: kept.deref() !== undefined, timers: process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length }))
        void source
      `
      const child = await startScript(folder, script)
      const exited = exitOf(child)
      expect(await firstLine(child)).toEqual({ kept: false, timers: 0 })
      const printedMs = performance.now()
      expect(await exited).toBe(0)
      // Nothing waits for the token's expiry, nor for the connection to be closed.
      expect(performance.now() - printedMs).toBeLessThan(3000)
    } finally {
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

/**
 * The time goes on from one turn of the event loop to the next: a token is looked at when it was handed out, however long a busy
 * machine takes in between.
 */
function holdClockWithinTurns(): void {
  const real = Date.now.bind(Date)
  let nowMs = real()
  const held = vi.spyOn(Date, 'now').mockImplementation(() => nowMs)
  const ticking = setInterval(() => (nowMs = real()), 1)
  onTestFinished(() => {
    clearInterval(ticking)
    held.mockRestore()
  })
}
