/** Whether a database that cannot be reached is left alone, and who finds out that it can be again. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import { AsyncLocalStorage } from 'node:async_hooks'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { createBreaker, DatabaseUnavailable } from '../../../src/connections/limits/breaker.ts'
import { parseConnection, type ConnectionConfig } from '../../../src/connections/config.ts'
import { ConnectionLost } from '../../../src/connections/connection-lost.ts'
import { duckdb } from '../../../src/connections/databases/duckdb.ts'
import type { Database } from '../../../src/connections/databases/database.ts'
import { motherduck } from '../../../src/connections/databases/motherduck.ts'
import type { RegistryOptions } from '../../../src/connections/registry.ts'
import { classifySqlError } from '../../../src/connections/sql-errors.ts'
import { MillraceError } from '../../../src/errors.ts'
import { createHarness, LONG_QUERY, until, type Harness } from '../registry-harness.ts'

describe('a breaker', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] })
    vi.spyOn(Math, 'random').mockReturnValue(1)
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.restoreAllMocks()
  })

  const lost = new ConnectionLost('no route to host')
  const opened = (): ReturnType<typeof createBreaker> => {
    const breaker = createBreaker('db', { failures: 2, firstPauseMs: 1000, longestPauseMs: 3000 })
    for (let nth = 0; nth < 2; nth += 1) breaker.begin().failed(lost)
    return breaker
  }

  test('opens after failures in a row, names the cause and the next probe, and is worth another attempt', () => {
    const breaker = createBreaker('db', { failures: 2, firstPauseMs: 1000 })
    breaker.begin().failed(lost)
    expect(breaker.snapshot()).toEqual({ state: 'closed', failures: 1, retryAfterMs: null, cause: 'no route to host' })
    breaker.begin().succeeded()
    breaker.begin().failed(lost)
    breaker.check()
    breaker.begin().failed(lost)
    expect(breaker.snapshot()).toEqual({ state: 'open', failures: 2, retryAfterMs: 1000, cause: 'no route to host' })
    const error = thrownBy(() => breaker.begin())
    expect(error).toBeInstanceOf(DatabaseUnavailable)
    expect(error).toMatchObject({
      message: 'db was out of reach 2 times in a row and is tried again in 1.0 s: no route to host',
      retryAfterMs: 1000,
      cause: lost,
    })
    expect(classifySqlError(error)).toMatchObject({ kind: 'connection', retryable: true })
  })

  test('lets one probe through after the pause, and no other meanwhile', () => {
    const breaker = opened()
    vi.advanceTimersByTime(999)
    expect(() => breaker.begin()).toThrow('is tried again in 0.0 s')
    vi.advanceTimersByTime(1)
    const probe = breaker.begin()
    expect(breaker.snapshot()).toMatchObject({ state: 'probing', retryAfterMs: 0 })
    expect(() => breaker.begin()).toThrow('is being tried again now')
    expect(() => breaker.check()).toThrow(DatabaseUnavailable)
    probe.succeeded()
    expect(breaker.snapshot()).toEqual({ state: 'closed', failures: 0, retryAfterMs: null, cause: null })
    breaker.begin().succeeded()
  })

  test('pauses longer after each probe that fails, up to a limit', () => {
    const breaker = opened()
    const pauses = [1000, 2000, 3000, 3000].map((pauseMs) => {
      expect(breaker.snapshot().retryAfterMs).toBe(pauseMs)
      vi.advanceTimersByTime(pauseMs)
      breaker.begin().failed(lost)
      return breaker.snapshot().failures
    })
    expect(pauses).toEqual([3, 4, 5, 6])
  })

  test('pauses for half of its length at least, so that many processes do not come back at once', () => {
    vi.mocked(Math.random).mockReturnValue(0)
    expect(opened().snapshot().retryAfterMs).toBe(500)
  })

  test('gives the probe to the next when one shows nothing', () => {
    const breaker = opened()
    vi.advanceTimersByTime(1000)
    breaker.begin().ended()
    expect(breaker.snapshot()).toMatchObject({ state: 'open', retryAfterMs: 0 })
    const refused = breaker.begin()
    refused.failed(new MillraceError('CREDENTIALS', 'no token'))
    // Only the first answer counts.
    refused.succeeded()
    expect(breaker.snapshot()).toMatchObject({ state: 'open', retryAfterMs: 0, failures: 2 })
    breaker.begin().succeeded()
    expect(breaker.snapshot().state).toBe('closed')
  })

  test('is closed by an attempt from before, and does not pause longer for one that fails late', () => {
    const breaker = createBreaker('db', { failures: 2, firstPauseMs: 1000 })
    const [early, late] = [breaker.begin(), breaker.begin()]
    for (let nth = 0; nth < 2; nth += 1) breaker.begin().failed(lost)
    vi.advanceTimersByTime(400)
    late.failed(lost)
    expect(breaker.snapshot()).toMatchObject({ state: 'open', failures: 2, retryAfterMs: 600 })
    early.succeeded()
    expect(breaker.snapshot().state).toBe('closed')
  })

  test.each([
    ['a lock', new Error('IO Error: Could not set lock on file "x": Conflicting lock is held in y (PID 1)')],
    ['a configuration', new MillraceError('CONFIG', 'wrong')],
    ['a credential', new Error('Invalid Input Error: Authentication failed')],
    ['a credential that cannot be had', new MillraceError('CREDENTIALS', 'no token')],
    ['a turn that did not come', new MillraceError('LEASE_TIMEOUT', 'too late')],
    ['a file', new MillraceError('DATABASE', 'not a database')],
  ])('does not count %s', (_, error) => {
    const breaker = createBreaker('db', { failures: 1 })
    for (let nth = 0; nth < 5; nth += 1) breaker.begin().failed(error)
    expect(breaker.snapshot()).toMatchObject({ state: 'closed', failures: 0 })
  })
})

describe('a database behind a server that is down', () => {
  test('fails leases at once after three failures, is probed by one lease after the pause, and comes back', async () => {
    const server = await startListener()
    const { lease, registry, elsewhere } = setUp(server, { firstPauseMs: 200 })
    await (await lease()).release()
    await server.stop()
    for (let nth = 0; nth < 3; nth += 1) await expect(lease()).rejects.toThrow('cannot be reached')
    const tried = server.tried()
    const refused = await Promise.allSettled(Array.from({ length: 20 }, () => lease()))
    for (const one of refused) expect(one).toMatchObject({ reason: { name: 'DatabaseUnavailable' } })
    expect(server.tried()).toBe(tried)
    // Another key goes on.
    await (await elsewhere()).release()

    const [state] = registry.snapshot().keys.filter(({ type }) => type === 'motherduck')
    expect(state).toMatchObject({ errors: { count: 3 }, breaker: { state: 'open', failures: 3 } })
    expect(state?.errors.last).toContain('cannot be reached')
    await server.start()
    await until(() => breakerOf(registry)?.retryAfterMs === 0)
    const back = await Promise.allSettled(Array.from({ length: 20 }, () => lease()))
    const given = back.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    expect(given.length).toBeGreaterThan(0)
    for (const one of given) await one.release()
    expect(breakerOf(registry)).toMatchObject({ state: 'closed', failures: 0 })
    await (await lease()).release()
  })

  test('is probed by one of many, and its failure makes the pause longer', async () => {
    const server = await startListener()
    await server.stop()
    const { lease, registry } = setUp(server, { firstPauseMs: 40 })
    for (let nth = 0; nth < 3; nth += 1) await expect(lease()).rejects.toThrow('cannot be reached')
    await until(() => breakerOf(registry)?.retryAfterMs === 0)
    const tried = server.tried()
    const again = await Promise.allSettled(Array.from({ length: 30 }, () => lease()))
    expect(server.tried()).toBe(tried + 1)
    expect(again.every(({ status }) => status === 'rejected')).toBe(true)
    expect(breakerOf(registry)).toMatchObject({ state: 'open', failures: 4 })
  })

  test('asks no source for a token while nobody could use it', async () => {
    const server = await startListener()
    await server.stop()
    const { lease, asked } = setUp(server, { firstPauseMs: 60_000 })
    for (let nth = 0; nth < 3; nth += 1) await expect(lease()).rejects.toThrow('cannot be reached')
    const before = asked()
    await expect(lease()).rejects.toBeInstanceOf(DatabaseUnavailable)
    expect(asked()).toBe(before)
  })

  test('takes 200 leases through its ups and downs, and nothing is left open', async () => {
    const server = await startListener()
    const { lease, registry } = setUp(server, { firstPauseMs: 5, longestPauseMs: 20 }, { idleMs: 1 })
    let given = 0
    const states = new Set<string>()
    const user = async (): Promise<void> => {
      for (let nth = 0; nth < 25; nth += 1) {
        try {
          await using one = await lease()
          expect(await one.rows('SELECT 1 AS x')).toEqual([{ x: 1 }])
          given += 1
        } catch (error) {
          expect(error).toBeInstanceOf(ConnectionLost)
        }
        states.add(breakerOf(registry)?.state ?? '')
        // The idle instance closes, so that the next lease opens one.
        await new Promise((resolve) => setTimeout(resolve, 4))
      }
    }
    let over = false
    const users = Promise.all(Array.from({ length: 8 }, user)).then(() => (over = true))
    for (let nth = 0; nth < 3; nth += 1) {
      await server.stop()
      await until(() => breakerOf(registry)?.state === 'open' || over)
      await server.start()
      await until(() => breakerOf(registry)?.state === 'closed' || over)
    }
    await users
    expect(given).toBeGreaterThan(0)
    expect(states).toContain('open')
    await until(() => registry.snapshot().databases.length === 0)
  }, 30_000)
})

describe('the end of the registry', () => {
  test('while a breaker is open leaves nothing behind', async () => {
    const server = await startListener()
    await server.stop()
    const { lease, detach, registry } = setUp(server, { firstPauseMs: 60_000 })
    for (let nth = 0; nth < 4; nth += 1) await expect(lease()).rejects.toThrow(ConnectionLost)
    await detach()
    expect(registry.snapshot()).toMatchObject({ databases: [], ending: [] })
  })

  test('while a probe runs waits for it and closes what it opened', async () => {
    const server = await startListener()
    await server.stop()
    const { lease, detach, registry, gate } = setUp(server, { firstPauseMs: 1 })
    for (let nth = 0; nth < 3; nth += 1) await expect(lease()).rejects.toThrow('cannot be reached')
    await server.start()
    await until(() => breakerOf(registry)?.retryAfterMs === 0)
    const pass = gate()
    const probe = expect(lease()).rejects.toThrow('shuts down')
    await until(() => breakerOf(registry)?.state === 'probing')
    const gone = detach()
    await probe
    pass()
    await gone
    expect(registry.snapshot()).toMatchObject({ databases: [], ending: [] })
  })

  test('with a holder and a closed breaker interrupts what runs', async () => {
    const server = await startListener()
    const { lease, detach, registry } = setUp(server, {}, { graceMs: 20 })
    const holder = await lease()
    const query = expect(holder.rows(LONG_QUERY))
      .rejects.toThrow('shuts down')
      .then(() => holder.release())
    await detach()
    await query
    expect(registry.snapshot()).toMatchObject({ databases: [], ending: [] })
  })
})

test('a probe keeps nothing of the context it ran in', async () => {
  const server = await startListener()
  await server.stop()
  const { lease, registry, seen, storage } = setUp(server, { firstPauseMs: 1 })
  for (let nth = 0; nth < 3; nth += 1) {
    await storage.run('activity 1', () => expect(lease()).rejects.toThrow('cannot be reached'))
  }
  await server.start()
  await until(() => breakerOf(registry)?.retryAfterMs === 0)
  await storage.run('activity 2', async () => (await lease()).release())
  expect(new Set(seen())).toEqual(new Set(['outside']))
})

interface Listener {
  port: number
  tried(): number
  start(): Promise<void>
  stop(): Promise<void>
  tell(): void
}

/** A real one, on loopback, that can be down. */
async function startListener(): Promise<Listener> {
  let server: Server | null = null
  let tried = 0
  const listener: Listener = {
    port: 0,
    tried: () => tried,
    tell: () => {
      tried += 1
    },
    start: async () => {
      server = createServer((socket) => socket.end())
      server.listen(listener.port, '127.0.0.1')
      await once(server, 'listening')
      listener.port = (server.address() as AddressInfo).port
    },
    stop: async () => {
      const closed = server
      server = null
      if (closed !== null) await new Promise((resolve) => closed.close(resolve))
    },
  }
  await listener.start()
  onTestFinished(() => listener.stop())
  return listener
}

interface SetUp extends Pick<Harness, 'registry' | 'detach'> {
  lease: Harness['lease']
  /** A lease of another database, which is here. */
  elsewhere: Harness['lease']
  /** How often the source of the token was asked. */
  asked: () => number
  /** Holds openings back until it is called. */
  gate: () => () => void
  storage: AsyncLocalStorage<string>
  /** The contexts in which instances were opened. */
  seen: () => string[]
}

/** Behind the registry's own code: a database in memory that opens, and takes sessions, only while its server listens. */
function setUp(server: Listener, breaker: RegistryOptions['breaker'] = {}, options: RegistryOptions = {}): SetUp {
  let asked = 0
  let opening: Promise<void> | null = null
  const storage = new AsyncLocalStorage<string>()
  const contexts: string[] = []
  const database: Database = {
    ...motherduck,
    open: async (config) => {
      contexts.push(storage.getStore() ?? 'outside')
      await opening
      await reach(server)
      const opened = await duckdb.open(parseConnection({ type: 'duckdb' }, { root: config.root, env: {} }), null)
      return {
        ...opened,
        capabilities: { ...opened.capabilities, persistent: true, checkpoints: false },
        connect: async (...args) => {
          await reach(server)
          return opened.connect(...args)
        },
      }
    },
  }
  const harness = createHarness({ ...options, breaker, databases: { motherduck: database } })
  const getToken = (): string => {
    asked += 1
    return 'token'
  }
  const raw = { type: 'motherduck', database: 'a', token: getToken }
  const config: ConnectionConfig = parseConnection(raw, { root: harness.folder, env: {} })
  return {
    registry: harness.registry,
    detach: harness.detach,
    lease: (holder = 'test') => harness.registry.lease(config, { holder }),
    elsewhere: harness.lease,
    asked: () => asked,
    gate: () => {
      let pass: () => void = () => undefined
      opening = new Promise((resolve) => (pass = resolve))
      return pass
    },
    storage,
    seen: () => contexts,
  }
}

async function reach(server: Listener): Promise<void> {
  server.tell()
  const socket = connect(server.port, '127.0.0.1')
  try {
    await once(socket, 'connect')
  } catch (error) {
    throw new ConnectionLost(`MotherDuck database 'a' cannot be reached: ${(error as Error).message}`, error)
  } finally {
    socket.destroy()
  }
}

function breakerOf(registry: Harness['registry']) {
  return registry.snapshot().keys.find(({ type }) => type === 'motherduck')?.breaker
}

function thrownBy(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}
