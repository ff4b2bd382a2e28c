/**
 * Instances that are opened with a token: a new token opens a new one, the old one's holders finish. MotherDuck's service
 * cannot run here: the double opens a database in memory for each token, behind the registry's own code.
 */
import { describe, expect, test } from 'vitest'
import { parseConnection, type ConnectionConfig } from '../../src/connections/config.ts'
import { CredentialRefused } from '../../src/connections/credential-refused.ts'
import type { AuthContext } from '../../src/connections/credentials/auth-context.ts'
import { duckdb } from '../../src/connections/databases/duckdb.ts'
import type { Database } from '../../src/connections/databases/database.ts'
import { motherduck } from '../../src/connections/databases/motherduck.ts'
import { MillraceError } from '../../src/errors.ts'
import { createHarness, LONG_QUERY, until, type Harness } from './registry-harness.ts'

describe('a token', () => {
  test('that is current opens one instance for all leases', async () => {
    const service = createService()
    const { lease, registry } = setUp(service, () => 'first')
    const leases = await Promise.all(Array.from({ length: 8 }, () => lease()))
    expect(service.opened).toEqual(['first'])
    expect(registry.snapshot().opens).toBe(1)
    await Promise.all(leases.map((one) => one.release()))
  })

  test('that replaces another opens a new instance for newcomers, while the old one’s holders finish', async () => {
    const service = createService()
    let token = 'first'
    const { lease, registry } = setUp(service, () => ({
      token,
      expiresAtMs: Date.now() + (token === 'first' ? 50 : 60_000),
    }))
    const old = await lease('old')
    await old.run('CREATE TABLE mine AS SELECT 1 AS x')
    token = 'second'
    await until(() => Date.now() > service.openedMs + 60)

    const fresh = await lease('fresh')
    expect(service.opened).toEqual(['first', 'second'])
    expect(await old.rows('FROM mine')).toEqual([{ x: 1 }])
    await expect(fresh.rows('FROM mine')).rejects.toThrow('Catalog Error')
    expect(registry.snapshot().databases.map(({ leases }) => leases.map(({ holder }) => holder))).toEqual([['fresh']])
    expect(service.closed).toEqual([])
    await old.release()
    await until(() => service.closed.length === 1)
    expect(service.closed).toEqual(['first'])
    await fresh.release()
  })

  test('that the service refuses at opening is fetched anew once, for the same lease', async () => {
    const service = createService()
    const tokens = ['stale', 'good']
    const { lease } = setUp(service, () => tokens[0]!, { idleMs: 10 })
    await (await lease()).release()
    await until(() => service.closed.length === 1)
    service.refused.add('stale')
    tokens.shift()
    await using holder = await lease()
    expect(await holder.rows('SELECT 1 AS x')).toEqual([{ x: 1 }])
    expect(service.attempts).toEqual(['stale', 'stale', 'good'])
  })

  test('that is still good is not fetched again when an idle instance opens anew', async () => {
    const service = createService()
    let asked = 0
    const { lease } = setUp(service, () => `token ${(asked += 1)}`, { idleMs: 10 })
    await (await lease()).release()
    await until(() => service.closed.length === 1)
    await (await lease()).release()
    expect(service.opened).toEqual(['token 1', 'token 1'])
    expect(asked).toBe(1)
  })

  test('that is refused to a statement makes the lease fail with an error worth another attempt', async () => {
    const service = createService()
    const tokens = ['stale', 'good']
    const { lease } = setUp(service, () => tokens[0]!)
    await (await lease()).release()
    await until(() => Date.now() > service.openedMs)
    tokens.shift()
    await using holder = await lease()
    // As MotherDuck says it.
    const refused = holder.rows("SELECT error('Your request is not authenticated. (Jwt is expired)')")
    await expect(refused).rejects.toBeInstanceOf(CredentialRefused)
    await using again = await lease()
    expect(service.opened).toEqual(['stale', 'good'])
    expect(await again.rows('SELECT 1 AS x')).toEqual([{ x: 1 }])
  })

  test('that is new and refused all the same is the error of the lease', async () => {
    const service = createService()
    service.refused.add('wrong')
    const asked: AuthContext[] = []
    const { lease } = setUp(service, (auth) => {
      asked.push(auth)
      return 'wrong'
    })
    await expect(lease()).rejects.toMatchObject({
      code: 'DATABASE',
      message: expect.stringContaining('not authenticated'),
    })
    expect(asked.length).toBeLessThanOrEqual(2)
  })
})

test('the end of the registry interrupts holders of a replaced token, too', async () => {
  const service = createService()
  let token = 'first'
  const harness = setUp(service, () => ({ token, expiresAtMs: Date.now() + (token === 'first' ? 50 : 60_000) }), {
    graceMs: 50,
  })
  const old = await harness.lease('old')
  const query = expect(old.rows(LONG_QUERY)).rejects.toThrow('shuts down')
  token = 'second'
  await until(() => Date.now() > service.openedMs + 60)
  await (await harness.lease('fresh')).release()
  await harness.detach()
  await query
  await old.release()
  expect(service.closed.sort()).toEqual(['first', 'second'])
})

interface Service {
  database: Database
  /** Tokens, in the order in which instances were opened and closed with them. */
  opened: string[]
  closed: string[]
  /** Tokens with which opening was tried. */
  attempts: string[]
  openedMs: number
  refused: Set<string>
}

function createService(): Service {
  const service: Service = {
    opened: [],
    closed: [],
    attempts: [],
    openedMs: 0,
    refused: new Set(),
    database: {
      ...motherduck,
      open: async (config, token) => {
        const value = token?.value ?? ''
        service.attempts.push(value)
        if (service.refused.has(value)) throw refusal()
        service.opened.push(value)
        const memory = parseConnection({ type: 'duckdb' }, { root: config.root, env: {} })
        const opened = await duckdb.open(memory, null)
        service.openedMs = Date.now()
        return {
          ...opened,
          // As MotherDuck's: it may be closed when nobody uses it.
          capabilities: { ...opened.capabilities, persistent: true, checkpoints: false },
          closeSync: () => {
            service.closed.push(value)
            opened.closeSync()
          },
        }
      },
    },
  }
  return service
}

/** As opening says it. */
function refusal(): MillraceError {
  const cause = new Error('Invalid Input Error: Your request is not authenticated. (Jwt is expired)')
  return new MillraceError('DATABASE', "MotherDuck database 'a' cannot be opened: not authenticated", { cause })
}

function setUp(
  service: Service,
  getToken: (auth: AuthContext) => unknown,
  options: { graceMs?: number; idleMs?: number } = {},
): Pick<Harness, 'registry' | 'detach'> & { lease: (holder?: string) => ReturnType<Harness['lease']> } {
  const harness = createHarness({ ...options, databases: { motherduck: service.database } })
  const raw = { type: 'motherduck', database: 'a', token: getToken }
  const config: ConnectionConfig = parseConnection(raw, { root: harness.folder, env: {} })
  return {
    registry: harness.registry,
    detach: harness.detach,
    lease: (holder = 'test') => harness.registry.lease(config, { holder }),
  }
}
