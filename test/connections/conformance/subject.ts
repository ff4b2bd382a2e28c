/** A type of database, as the conformance suite meets it. */
import type { ConnectionConfig } from '../../../src/connections/config.ts'
import type { DatabaseCapabilities } from '../../../src/connections/databases/database.ts'
import type { Lease } from '../../../src/connections/lease.ts'
import type { LeaseOptions, RegistryOptions } from '../../../src/connections/registry.ts'
import { createHarness, type Harness } from '../registry-harness.ts'
import { PROMISES, type SubjectName } from './promises.ts'

export interface Subject {
  name: SubjectName
  /** A connection to a new, empty database, as a configuration has it: nothing but JSON, relative to a folder of the test's. */
  fresh: () => Promise<Record<string, unknown>>
}

export function promisesOf({ name }: Subject): DatabaseCapabilities {
  return PROMISES[name]
}

/** A new database for one test; what the test leaves open is an error. */
export interface OpenSubject {
  harness: Harness
  raw: Record<string, unknown>
  config: ConnectionConfig
  lease: (options?: Partial<LeaseOptions>) => Promise<Lease>
}

/** @param more keys of the connection, beside those of the subject. */
export async function openSubject(
  subject: Subject,
  more: Record<string, unknown> = {},
  options: RegistryOptions = {},
): Promise<OpenSubject> {
  const harness = createHarness(options)
  const raw = { ...(await subject.fresh()), ...more }
  const config = harness.config({ database: undefined, ...raw })
  return {
    harness,
    raw,
    config,
    lease: (leaseOptions = {}) => harness.registry.lease(config, { holder: 'test', ...leaseOptions }),
  }
}

export async function errorOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work
  } catch (error) {
    return error
  }
  throw new Error('expected an error')
}
