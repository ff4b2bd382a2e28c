/** A registry and a folder for one test; afterwards nothing may be open. */
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect } from 'vitest'
import { parseConnection, type ConnectionConfig } from '../../src/connections/config.ts'
import type { Lease } from '../../src/connections/lease.ts'
import {
  createConnectionRegistry,
  type ConnectionRegistry,
  type RegistryOptions,
} from '../../src/connections/registry.ts'

export interface Harness {
  folder: string
  registry: ConnectionRegistry
  config: (raw?: Record<string, unknown>) => ConnectionConfig
  lease: (holder?: string, raw?: Record<string, unknown>) => Promise<Lease>
  detach: () => Promise<void>
}

const cleanups: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

export function createHarness(options: RegistryOptions = {}): Harness {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-connections-'))
  const registry = createConnectionRegistry(options)
  const owner = registry.attach('test')
  const config = (raw: Record<string, unknown> = {}): ConnectionConfig =>
    parseConnection({ type: 'duckdb', database: 'test.duckdb', ...raw }, { root: folder, env: {} })
  cleanups.push(async () => {
    const held = registry.snapshot().databases.flatMap(({ leases, waiting }) => [...leases, ...waiting])
    await owner.detach()
    const open = openFiles(folder)
    rmSync(folder, { recursive: true, force: true })
    expect(held, 'leases left open').toEqual([])
    expect(open, 'files left open').toEqual([])
  })
  return {
    folder,
    registry,
    config,
    lease: (holder = 'test', raw = {}) => registry.lease(config(raw), { holder }),
    detach: () => owner.detach(),
  }
}

/** Files below `folder` that this process has open. */
export function openFiles(folder: string): string[] {
  const open = readdirSync('/proc/self/fd').map((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`)
    } catch {
      return ''
    }
  })
  return open.filter((path) => path.startsWith(folder))
}

/** Resolves when `condition` holds; looked at again whenever the event loop is free. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** A statement that runs for minutes unless it is interrupted. */
export const LONG_QUERY = 'SELECT count(*) FROM range(200_000_000_000) WHERE range % 7 = 3'
