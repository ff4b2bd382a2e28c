/** What a command's exit code says, and which error has which. */
import type { ErrorCode } from '../errors.ts'

export const EXIT = { done: 0, failed: 1, usage: 2, unreachable: 3, interrupted: 130 } as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

const UNREACHABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'TEMPORAL_UNAVAILABLE',
  'NO_WORKER',
  'DATABASE_LOCKED',
  'LEASE_TIMEOUT',
  'CREDENTIALS',
])
const FAILED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'SQL',
  'AUDIT_FAILED',
  'COLUMNS',
  'SCHEMA_CHANGE',
  'STALE_SOURCE',
  'CANCELED',
  'INTERNAL',
  'ENVIRONMENT_CHANGED',
])

export function exitCodeOf(code: ErrorCode): ExitCode {
  if (UNREACHABLE.has(code)) return EXIT.unreachable
  return FAILED.has(code) ? EXIT.failed : EXIT.usage
}
