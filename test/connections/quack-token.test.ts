/** The token of a Quack server: when it is asked for, what a refusal means, and where it never shows. */
import { describe, expect, test } from 'vitest'
import type { OpenedDatabase } from '../../src/connections/databases/database.ts'
import { quack } from '../../src/connections/databases/quack.ts'
import { toJsonRows } from '../../src/connections/json-rows.ts'
import { classifySqlError } from '../../src/connections/sql-errors.ts'
import { connectionTo, errorOf, quackServer } from './quack-harness.ts'
import { createHarness, until } from './registry-harness.ts'

/** Lets those in that tests add. */
const guarded = quackServer()

describe('the token of a Quack server', () => {
  /** Hands these out in turn, the last one for ever. */
  function desk(tokens: string[], lifeMs = 60_000) {
    let given = 0
    return {
      credential: () => ({
        token: tokens[Math.min(given++, tokens.length - 1)] ?? '',
        expiresAtMs: Date.now() + lifeMs,
      }),
      given: () => given,
    }
  }

  test('that is wrong is an error of the credential at once, without the token', async () => {
    const { lease, registry } = createHarness()
    const { credential, given } = desk(['a-wrong-secret'])
    const before = await guarded().asked()
    const error = await errorOf(lease('test', connectionTo(guarded(), { token: credential })))
    expect(error).toMatchObject({ code: 'CREDENTIALS', message: expect.stringContaining('refuses the token of') })
    expect(classifySqlError(error)).toMatchObject({ kind: 'auth', retryable: true })
    expect(`${error} ${error.stack} ${String(error.cause)} ${JSON.stringify(registry.snapshot())}`).not.toContain(
      'a-wrong-secret',
    )
    expect([given(), (await guarded().asked()) - before]).toEqual([1, 1])
  })

  test('is fetched once for all leases and instances, and anew when the server refuses it', async () => {
    const harness = createHarness({ idleMs: 1 })
    const { credential, given } = desk(['first-secret', 'second-secret'])
    await guarded().addToken('first-secret', 60_000)
    const config = harness.config(connectionTo(guarded(), { token: credential }))
    const leaseIt = () => harness.registry.lease(config, { holder: 'test' })
    for (let nth = 0; nth < 3; nth += 1) {
      await Promise.all([leaseIt(), leaseIt()].map(async (leased) => (await leased).release()))
      await until(() => harness.registry.snapshot().databases.length === 0)
    }
    expect([given(), harness.registry.snapshot().opens]).toEqual([1, 3])
    await using running = await leaseIt()
    await guarded().revoke('first-secret')
    await guarded().addToken('second-secret', 60_000)
    await using newcomer = await leaseIt()
    expect(await Promise.all([running, newcomer].map((one) => one.rows('SELECT 1 AS x')))).toEqual([
      [{ x: 1 }],
      [{ x: 1 }],
    ])
    expect(given()).toBe(2)
  })

  test('that has expired is replaced before the server sees it', async () => {
    const harness = createHarness()
    const lifeMs = 400
    const { credential, given } = desk(['short-lived-1', 'short-lived-2'], lifeMs)
    const config = harness.config(connectionTo(guarded(), { token: credential }))
    await guarded().addToken('short-lived-1', 60_000)
    await using first = await harness.registry.lease(config, { holder: 'test' })
    await guarded().revoke('short-lived-1')
    await guarded().addToken('short-lived-2', 60_000)
    await new Promise((resolve) => setTimeout(resolve, lifeMs))
    const before = await guarded().asked()
    await using second = await harness.registry.lease(config, { holder: 'test' })
    expect([given(), (await guarded().asked()) - before]).toEqual([2, 1])
    for (const one of [first, second]) expect(await one.rows('SELECT 1 AS x')).toEqual([{ x: 1 }])
  })

  test('is asked for in the context of the lease that needs it', async () => {
    const harness = createHarness()
    await guarded().addToken('with-context', 60_000)
    const asked: unknown[] = []
    const credential = ({ activityId, attempt }: { activityId?: string; attempt?: number }) => {
      asked.push({ activityId, attempt })
      return { token: 'with-context', expiresAtMs: null }
    }
    const config = harness.config(connectionTo(guarded(), { token: credential }))
    await using _one = await harness.registry.lease(config, { holder: 'test', auth: { activityId: 'a', attempt: 3 } })
    expect(asked).toEqual([{ activityId: 'a', attempt: 3 }])
  })

  test('is in no list of DuckDB’s, here or there', async () => {
    let opened: OpenedDatabase | undefined
    const open: typeof quack.open = async (...given) => (opened = await quack.open(...given))
    const { lease, registry } = createHarness({ databases: { quack: { ...quack, open } } })
    await guarded().addToken('a-listed-secret', 60_000)
    await using one = await lease('test', connectionTo(guarded(), { token: 'a-listed-secret' }))
    await one.run('CREATE OR REPLACE TABLE made AS SELECT 1 AS x')
    const lists = ['FROM duckdb_secrets()', 'FROM duckdb_databases()', 'FROM duckdb_settings()', 'FROM duckdb_logs']
    const shown = [registry.snapshot(), ...(await Promise.all(lists.map((list) => one.rows(list))))]
    const here = await opened?.connectInstance()
    for (const list of lists) shown.push(toJsonRows((await here?.runAndReadAll(list)) ?? expect.fail('it is not open')))
    here?.disconnectSync()
    expect(JSON.stringify(shown)).toContain('session_1')
    expect(JSON.stringify(shown)).not.toContain('a-listed-secret')
  })
})
