/** What the connections do, as metrics of Temporal's meter: one Prometheus endpoint has them beside Temporal's own. */
import type { MetricMeter } from '@temporalio/common'
import type { TokenSourceSnapshot } from './connections/credentials/token-source.ts'
import type { ConnectionRegistry } from './connections/registry.ts'

/** How often the gauges are set. */
const SAMPLE_EVERY_MS = 5_000

/**
 * Gauges `millrace_connection_leases`, `millrace_connection_waiting` (for a lease or for the database to open),
 * `millrace_connection_generation` (the number of the last instance) and `millrace_connection_breaker` (0 closed, 1 probing, 2 open);
 * histograms `millrace_connection_lease_wait` and `millrace_connection_open` (ms, as Temporal's own); counters
 * `millrace_connection_errors` (of opening and connecting), `millrace_credential_fetches` and `millrace_credential_failures`; all by
 * `database_type` and `database`, the file's short name. Databases of one short name are summed up; of their breakers the worst counts.
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

/** As a gauge shows it: the higher, the worse. */
const BREAKER_STATES = { closed: 0, probing: 1, open: 2 } as const

/** What the gauges say of the databases of one type and short name. */
interface Gauges {
  tags: { database_type: string; database: string }
  leases: number
  waiting: number
  generation: number
  breaker: number
}

function report(registry: ConnectionRegistry, meter: MetricMeter): () => void {
  const gauge = (name: string, description: string) =>
    meter.createGauge(`millrace_connection_${name}`, 'int', undefined, description)
  const counter = (name: string, description: string) => meter.createCounter(`millrace_${name}`, undefined, description)
  const leases = gauge('leases', 'Leases that are out')
  const waiting = gauge('waiting', 'Holders that wait for a lease')
  const generation = gauge('generation', 'The number of the database’s last instance')
  const breaker = gauge('breaker', '0: the database can be reached; 1: that is being tried; 2: it was out of reach')
  const histograms = {
    leased: meter.createHistogram(
      'millrace_connection_lease_wait',
      'float',
      'ms',
      'Time from asking for a lease to having it',
    ),
    opened: meter.createHistogram('millrace_connection_open', 'float', 'ms', 'Time that opening a database took'),
  }
  const errors = counter('connection_errors', 'Errors of opening a database and of connecting to it')
  const fetches = counter('credential_fetches', 'Times a credential was asked for a token')
  const failures = counter('credential_failures', 'Those that brought none')
  const counted = new Map<number, { fetches: number; failures: number }>()
  const countedErrors = new Map<string, number>()

  function sample(): void {
    const { databases, ending, keys } = registry.snapshot()
    const gauges = new Map<string, Gauges>()
    // Every key, not only what is open: one that is closed goes to zero, and is not left at its last value.
    for (const { key, type, label, generation, errors, breaker } of keys) {
      const all = gaugesOf(gauges, type, label)
      all.generation += generation
      all.breaker = Math.max(all.breaker, BREAKER_STATES[breaker.state])
      countErrors(key, errors.count, all.tags)
    }
    for (const { type, label, leases, waiting, opening } of [...databases, ...ending]) {
      const all = gaugesOf(gauges, type, label)
      all.leases += leases.length
      all.waiting += waiting.length + opening.length
    }
    // Not of those that end: nobody asks their sources any more.
    for (const { type, label, credentials } of databases) {
      for (const source of credentials) count(source, gaugesOf(gauges, type, label).tags)
    }
    for (const all of gauges.values()) {
      leases.set(all.leases, all.tags)
      waiting.set(all.waiting, all.tags)
      generation.set(all.generation, all.tags)
      breaker.set(all.breaker, all.tags)
    }
  }

  function countErrors(key: string, now: number, tags: Gauges['tags']): void {
    const more = now - (countedErrors.get(key) ?? 0)
    if (more > 0) errors.add(more, tags)
    countedErrors.set(key, now)
  }

  /** The sources count from their own beginning. */
  function count(now: TokenSourceSnapshot, tags: Gauges['tags']): void {
    const from = counted.get(now.number) ?? { fetches: 0, failures: 0 }
    if (now.fetches > from.fetches) fetches.add(now.fetches - from.fetches, tags)
    if (now.failures > from.failures) failures.add(now.failures - from.failures, tags)
    counted.set(now.number, { fetches: now.fetches, failures: now.failures })
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

function gaugesOf(gauges: Map<string, Gauges>, type: string, label: string): Gauges {
  const id = `${type} ${label}`
  const found = gauges.get(id) ?? {
    tags: { database_type: type, database: label },
    leases: 0,
    waiting: 0,
    generation: 0,
    breaker: 0,
  }
  gauges.set(id, found)
  return found
}
