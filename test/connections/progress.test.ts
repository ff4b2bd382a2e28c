import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseConnection } from '../../src/connections/config.ts'
import type { Lease } from '../../src/connections/lease.ts'
import { connectionRegistry } from '../../src/connections/registry.ts'

let folder: string
let owner: { detach(): Promise<void> }

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-progress-'))
  owner = connectionRegistry().attach('test')
})
afterEach(async () => {
  await owner.detach()
  await rm(folder, { recursive: true, force: true })
})

describe('the progress of a running statement', () => {
  test('grows while a transaction scans a large table, and is nothing before and after', async () => {
    await using lease = await open()
    await lease.run('CREATE TABLE big AS SELECT range AS x FROM range(3000000)')
    expect(lease.progress()).toBeNull()
    const seen: number[] = []
    await lease.transaction(async (tx) => {
      const [answer] = await watched(lease, seen, tx.rows<{ n: number }>(SLOW_SCAN))
      expect(answer?.n).toBeGreaterThan(0)
    })
    expect(lease.progress()).toBeNull()
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
    expect(new Set(seen).size).toBeGreaterThan(2)
    expect(Math.max(...seen)).toBeLessThanOrEqual(100)
    await lease.release()
    expect(lease.progress()).toBeNull()
  })

  test('is not asked for where settings are locked, and statements run as ever', async () => {
    await using lease = await open({ lock_configuration: 'true' })
    await lease.run('CREATE TABLE big AS SELECT range AS x FROM range(1000000)')
    const seen: number[] = []
    await lease.transaction(async (tx) => {
      await watched(lease, seen, tx.rows(SLOW_SCAN))
    })
    expect(seen).toEqual([])
  })
})

/** A second or two of work on each row, which DuckDB counts. */
const SLOW_SCAN = `SELECT count(*) AS n FROM big WHERE md5(md5(md5(md5(x::VARCHAR)))) LIKE '%7%'`

async function open(settings: Record<string, string> = {}): Promise<Lease> {
  const config = parseConnection(
    { database: 'w.duckdb', connector_config: { threads: '1', ...settings } },
    { root: folder, env: {} },
  )
  return connectionRegistry().lease(config, { holder: 'test' })
}

/** Notes the percentages that are told until the statement has ended. */
async function watched<T>(lease: Lease, seen: number[], statement: Promise<T>): Promise<T> {
  const state = { ended: false }
  const ended = statement.finally(() => (state.ended = true))
  ended.catch(() => {})
  while (!state.ended) {
    const progress = lease.progress()
    if (progress !== null) seen.push(progress.percent)
    await delay(20)
  }
  return ended
}
