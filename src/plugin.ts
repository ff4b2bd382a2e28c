/**
 * The plugin that makes any Temporal worker build projects: activities, heartbeat and shutdown settings, and the
 * connection registry's life. Nothing is opened and no environment is read before a worker is made.
 */
import { SimplePlugin } from '@temporalio/plugin'
import type { Worker, WorkerOptions } from '@temporalio/worker'
import { createActivities } from './activities/index.ts'
import { WorkerProjects } from './activities/worker-projects.ts'
import { reportConnections } from './connection-metrics.ts'
import { queryThreads } from './connections/query-threads.ts'
import { connectionRegistry } from './connections/registry.ts'
import { MillraceError } from './errors.ts'

export interface MillracePluginOptions {
  /** Folders of the projects the worker serves, relative to the working directory. */
  projects: readonly string[]
  /** Where `env_var` and credentials look; default `process.env`. */
  env?: NodeJS.ProcessEnv
}

/** The default of `concurrent_tasks`. */
const ENOUGH_QUERIES = 8
const ACTIVITY_SLOTS = 64

export class MillracePlugin extends SimplePlugin {
  readonly #options: MillracePluginOptions
  readonly #configured = new WeakSet<WorkerOptions>()
  #projects: WorkerProjects | null = null
  #running = 0

  constructor(options: MillracePluginOptions) {
    super({ name: 'millrace.MillracePlugin' })
    this.#options = options
  }

  /** @throws MillraceError USAGE when an activity of the worker has the name of one of ours. */
  override configureWorker(options: WorkerOptions): WorkerOptions {
    // Given to the connection and to the worker, a plugin is asked twice.
    if (this.#configured.has(options)) return options
    const activities = createActivities(this.#openProjects())
    for (const name of Object.keys(activities)) {
      const existing: object = options.activities ?? {}
      if (!(name in existing)) continue
      throw new MillraceError('USAGE', `the worker has an activity '${name}' of its own, which Millrace needs`, {
        hint: 'rename it, or give Millrace a worker of its own',
      })
    }
    const configured: WorkerOptions = {
      shutdownGraceTime: '30s',
      ...options,
      // A cancel request waits for the next heartbeat that is not throttled.
      maxHeartbeatThrottleInterval: options.maxHeartbeatThrottleInterval ?? '1s',
      ...(options.tuner === undefined
        ? { maxConcurrentActivityTaskExecutions: options.maxConcurrentActivityTaskExecutions ?? ACTIVITY_SLOTS }
        : {}),
      maxEagerActivityReservationsPerWorkflowTask:
        options.maxEagerActivityReservationsPerWorkflowTask ?? ACTIVITY_SLOTS,
      activities: { ...options.activities, ...activities },
    }
    this.#configured.add(configured)
    return configured
  }

  override async runWorker(worker: Worker, next: (worker: Worker) => Promise<void>): Promise<void> {
    const owner = connectionRegistry().attach(`worker ${worker.options.identity}`)
    this.#running += 1
    warnOfFewThreads()
    // Not awaited: whoever has called `run` may call `shutdown` next, which only a running worker hears.
    const reporting = startReporting()
    try {
      await super.runWorker(worker, next)
    } finally {
      const stopReporting = await reporting
      stopReporting()
      // After the worker has drained; the last owner in the process closes the databases.
      await owner.detach()
      this.#running -= 1
      // Another worker of this plugin may be planning.
      if (this.#running === 0) await this.#projects?.close()
    }
  }

  #openProjects(): WorkerProjects {
    const env = this.#options.env ?? process.env
    this.#projects ??= new WorkerProjects(this.#options.projects, { env, registry: connectionRegistry() })
    return this.#projects
  }
}

/** The package is loaded already where a worker runs; those who only start builds need not load it. */
async function startReporting(): Promise<() => void> {
  const { Runtime } = await import('@temporalio/worker')
  return reportConnections(connectionRegistry(), Runtime.instance().metricMeter)
}

function warnOfFewThreads(): void {
  const queries = queryThreads(process.env)
  if (queries >= ENOUGH_QUERIES) return
  process.emitWarning(
    `DuckDB's queries share libuv's threads with DNS, files and token refresh, so at most ${queries} run at once: set UV_THREADPOOL_SIZE=64 in the environment before the process starts`,
    { code: 'MILLRACE_FEW_THREADS' },
  )
}
