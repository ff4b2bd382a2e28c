/** What a deployment passes along with the work decides who gets which token, and who shares an instance with whom. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { ConnectionConfig } from '../../src/connections/config.ts'
import type { AuthContext } from '../../src/connections/credentials/auth-context.ts'
import { duckdb } from '../../src/connections/databases/duckdb.ts'
import type { Database } from '../../src/connections/databases/database.ts'
import { motherduck } from '../../src/connections/databases/motherduck.ts'
import { parseConnection } from '../../src/connections/config.ts'
import { tenantConflict } from '../../src/connections/connection-conflict.ts'
import type { Lease } from '../../src/connections/lease.ts'
import { extensionDirectory } from '../helpers/extensions.ts'
import { startQuackServer } from '../helpers/quack-server.ts'
import { createHarness, type Harness } from './registry-harness.ts'

type Values = NonNullable<AuthContext['values']>

const RED = { tenant: 'red-values', region: 'north-values' }
const BLUE = { tenant: 'blue-values', region: 'north-values' }

/** The token that a tenant is given, and how often it was asked for. */
function createTokens() {
  const asked: string[] = []
  return {
    asked,
    getToken: async ({ values }: AuthContext) => {
      const tenant = values?.['tenant'] ?? 'nobody'
      asked.push(tenant)
      // Another tenant's may be asked for in between.
      await new Promise((resolve) => setTimeout(resolve, 20))
      return `token of ${tenant}`
    },
  }
}

function leaseFor({ registry }: Harness, config: ConnectionConfig, values?: Values): Promise<Lease> {
  return registry.lease(config, { holder: 'test', ...(values === undefined ? {} : { auth: { values } }) })
}

async function releaseAll(leases: readonly Lease[]): Promise<void> {
  await Promise.all(leases.map((lease) => lease.release()))
}

/** MotherDuck's service cannot run here: a database in memory for each token, behind the registry's own code. */
function createService(): { database: Database; opened: string[] } {
  const opened: string[] = []
  return {
    opened,
    database: {
      ...motherduck,
      open: async (config, token) => {
        opened.push(token?.value ?? '')
        return duckdb.open(parseConnection({ type: 'duckdb' }, { root: config.root, env: {} }), null)
      },
    },
  }
}

test('tenants of one configuration have tokens and instances of their own, however many ask at once', async () => {
  const { asked, getToken } = createTokens()
  const service = createService()
  const harness = createHarness({ databases: { motherduck: service.database } })
  const config = harness.config({ type: 'motherduck', database: 'a', token: getToken, concurrent_tasks: 16 })
  const everybody = [RED, BLUE, undefined]
  const leases = await Promise.all(
    Array.from({ length: 24 }, (_, index) => leaseFor(harness, config, everybody[index % everybody.length])),
  )
  expect(service.opened.sort()).toEqual(['token of blue-values', 'token of nobody', 'token of red-values'])
  expect(asked.sort()).toEqual(['blue-values', 'nobody', 'red-values'])
  const [red, blue] = leases
  await red?.run('CREATE TABLE secret_of_red AS SELECT 1 AS x')
  await expect(blue?.rows('FROM secret_of_red')).rejects.toThrow('Catalog Error')
  expect(red?.key).toBe(blue?.key)
  await releaseAll(leases)
})

test('the same values in another order are one tenant, and none at all are like none', async () => {
  const { asked, getToken } = createTokens()
  const service = createService()
  const harness = createHarness({ databases: { motherduck: service.database } })
  const config = harness.config({ type: 'motherduck', database: 'a', token: getToken })
  const again = harness.config({ type: 'motherduck', database: 'a', token: getToken })
  const leases = [
    await leaseFor(harness, config, RED),
    await leaseFor(harness, again, { region: RED.region, tenant: RED.tenant }),
    await leaseFor(harness, config),
    await leaseFor(harness, again, {}),
  ]
  expect(service.opened).toEqual(['token of red-values', 'token of nobody'])
  expect(asked).toEqual(['red-values', 'nobody'])
  await releaseAll(leases)
})

test('nothing of the values is in snapshots, and a token that is still good serves its tenant again', async () => {
  const { asked, getToken } = createTokens()
  const service = createService()
  const harness = createHarness({ databases: { motherduck: service.database } })
  const config = harness.config({ type: 'motherduck', database: 'a', token: getToken })
  for (const values of [RED, BLUE, RED, BLUE]) {
    const lease = await leaseFor(harness, config, values)
    expect(JSON.stringify(harness.registry.snapshot())).not.toContain('-values')
    expect(lease.key).not.toContain('-values')
    await lease.release()
  }
  expect(asked).toEqual(['red-values', 'blue-values'])
})

test('a file without credentials is shared by all tenants', async () => {
  const harness = createHarness()
  const leases = await Promise.all([RED, BLUE].map((values) => leaseFor(harness, harness.config(), values)))
  expect(harness.registry.snapshot().opens).toBe(1)
  await releaseAll(leases)
})

test('a file with credentials is one tenant’s while it is in use, and the other’s after that', async () => {
  const { asked, getToken } = createTokens()
  const harness = createHarness()
  const config = harness.config({
    extensions: ['httpfs'],
    extension_directory: await extensionDirectory('httpfs'),
    secrets: { api: { type: 'http', scope: 'https://example.com/', bearer_token: getToken } },
  })
  const red = await leaseFor(harness, config, RED)
  const refusal: unknown = await leaseFor(harness, config, BLUE).catch((error: unknown) => error)
  expect(refusal).toEqual(tenantConflict(join(harness.folder, 'test.duckdb')))
  expect(String(refusal)).not.toContain('-values')
  expect(asked).toEqual(['red-values'])
  await red.release()
  await (await leaseFor(harness, config, BLUE)).release()
  expect(asked).toEqual(['red-values', 'blue-values'])
}, 120_000)

test('sessions on a Quack server begin with their tenant’s token', async () => {
  const { asked, getToken } = createTokens()
  const harness = createHarness()
  const server = await startQuackServer({ file: join(harness.folder, 'q.duckdb') })
  await server.addToken('token of red-values', 60_000)
  const config = harness.config({
    type: 'quack',
    database: undefined,
    uri: server.uri,
    token: getToken,
    extension_directory: server.extensions,
  })
  const leases = await Promise.all(Array.from({ length: 4 }, () => leaseFor(harness, config, RED)))
  expect(await leases[0]?.rows('SELECT 1 AS x')).toEqual([{ x: 1 }])
  await expect(leaseFor(harness, config, BLUE)).rejects.toMatchObject({ code: 'CREDENTIALS' })
  expect(asked.filter((tenant) => tenant === 'red-values')).toHaveLength(1)
  expect(asked).toContain('blue-values')
  await releaseAll(leases)
}, 120_000)
