/** What the connections do, as metrics of Temporal's meter: one Prometheus endpoint has them beside Temporal's own. */
import type { MetricMeter } from '@temporalio/common'
import type { ConnectionRegistry } from './connections/registry.ts'

/** How often the gauges are set. */
const SAMPLE_EVERY_MS = 5_000

/**
 * Gauges `millrace_connection_leases` and `millrace_connection_waiting`, histograms `millrace_connection_lease_wait` and
 * `millrace_connection_open` (ms, as Temporal's own), counters `millrace_credential_fetches` and `millrace_credential_failures`; all by
 * `database_type` and `database`, the file's short name.
 * However many workers of a process ask for it, it is reported once, to the first one's meter.
 * @returns what ends it, after the last values, when nobody else asks for it any more. Call it once.
 */
export function reportConnections(registry: ConnectionRegistry, meter: MetricMeter): () => void {
  const reporting = REPORTING.get(registry) ?? { users: 0, stop: report(registry, meter) }
  REPORTING.set(registry, reporting)
  reporting.users += 1
  return () => {
    reporting.users -= 1
    if (reporting.users > 0) return
    REPORTING.delete(registry)
    reporting.stop()
  }
}

const REPORTING = new WeakMap<ConnectionRegistry, { users: number; stop: () => void }>()

function report(registry: ConnectionRegistry, meter: MetricMeter): () => void {
  const leases = meter.createGauge('millrace_connection_leases', 'int', undefined, 'Leases that are out')
  const waiting = meter.createGauge('millrace_connection_waiting', 'int', undefined, 'Holders that wait for a lease')
  const histograms = {
    leased: meter.createHistogram(
      'millrace_connection_lease_wait',
      'float',
      'ms',
      'Time from asking for a lease to having it',
    ),
    opened: meter.createHistogram('millrace_connection_open', 'float', 'ms', 'Time that opening a database took'),
  }
  const fetches = meter.createCounter(
    'millrace_credential_fetches',
    undefined,
    'Times a credential was asked for a token',
  )
  const failures = meter.createCounter('millrace_credential_failures', undefined, 'Those that brought none')
  const counted = new Map<string, { fetches: number; failures: number }>()
  /** Databases that have had a value: one that is closed goes to zero, and is not left at its last one. */
  const seen = new Map<string, Record<string, string>>()

  function sample(): void {
    const { databases } = registry.snapshot()
    for (const { key, type, label, credentials } of databases) {
      const tags = { database_type: type, database: label }
      seen.set(key, tags)
      for (const [index, now] of credentials.entries()) count(`${key} ${index}`, now, tags)
    }
    for (const [key, tags] of seen) {
      const database = databases.find((one) => one.key === key)
      leases.set(database?.leases.length ?? 0, tags)
      waiting.set(database?.waiting.length ?? 0, tags)
    }
  }

  /** The sources count from their own beginning: an instance that was opened anew begins again. */
  function count(source: string, now: { fetches: number; failures: number }, tags: Record<string, string>): void {
    const before = counted.get(source)
    const from = before === undefined || before.fetches > now.fetches ? { fetches: 0, failures: 0 } : before
    if (now.fetches > from.fetches) fetches.add(now.fetches - from.fetches, tags)
    if (now.failures > from.failures) failures.add(now.failures - from.failures, tags)
    counted.set(source, { fetches: now.fetches, failures: now.failures })
  }

  const stop = registry.observe(({ kind, type, label, tookMs }) => {
    histograms[kind].record(tookMs, { database_type: type, database: label })
  })
  const timer = setInterval(sample, SAMPLE_EVERY_MS)
  timer.unref()
  return () => {
    clearInterval(timer)
    stop()
    sample()
  }
}
