/** Timeouts, heartbeats and retries of every activity, in one place. */
import type { ActivityOptions } from '@temporalio/workflow'

/** A worker that does not report for this long is taken for dead, and its step goes to another. */
const HEARTBEAT_TIMEOUT = '20s'

const COMMON = {
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  // A cancelled query is over only when its transaction is rolled back.
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
} satisfies ActivityOptions

/** A step repeats its own passing failures; what Temporal retries are dead workers and shutdowns, as often as they come. */
export const STEP_OPTIONS = {
  ...COMMON,
  startToCloseTimeout: '24h',
  retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '20s' },
} satisfies ActivityOptions

/**
 * Planning and finishing: short, and worth repeating while the database comes back. How often at most the worker decides: what
 * is given back to the worker that holds the database is no attempt, and Temporal would count it as one.
 */
export const CONTROL_OPTIONS = {
  ...COMMON,
  startToCloseTimeout: '1h',
  retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '30s' },
} satisfies ActivityOptions

/** Reading for a person who waits; the worker decides how often. */
export const READ_OPTIONS = {
  startToCloseTimeout: '5m',
  retry: { initialInterval: '200ms', maximumInterval: '1s' },
} satisfies ActivityOptions

/** Audits for a person who waits: each may read a whole table. */
export const AUDIT_OPTIONS = { ...READ_OPTIONS, startToCloseTimeout: '1h' } satisfies ActivityOptions

/**
 * Waiting for another build: as long as it takes, in attempts of half a minute. One that is taken for dead too soon has lost nothing.
 */
export const WAIT_OPTIONS = {
  ...COMMON,
  heartbeatTimeout: '6s',
  startToCloseTimeout: '2m',
  retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '10s' },
} satisfies ActivityOptions

/** Out of courtesy: whoever comes next does it, too. */
export const LEAVE_OPTIONS = {
  ...CONTROL_OPTIONS,
  scheduleToCloseTimeout: '1m',
} satisfies ActivityOptions
