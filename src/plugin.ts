/**
 * The plugin that makes any Temporal worker build projects: activities, heartbeat and shutdown settings, and the
 * connection registry's life. Nothing is opened and no environment is read before a worker is made.
 */
import { SimplePlugin } from '@temporalio/plugin'
import type { ActivityInterceptorsFactory, BundleOptions, Worker, WorkerOptions } from '@temporalio/worker'
import { createActivitySlots, type ActivitySlots } from './activities/activity-slots.ts'
import { keepAuthValues } from './activities/auth-values.ts'
import { createActivities } from './activities/index.ts'
import { WorkerProjects } from './activities/worker-projects.ts'
import { reportConnections } from './connection-metrics.ts'
import type { GetToken } from './connections/credentials/credential.ts'
import { queryThreads } from './connections/query-threads.ts'
import { connectionRegistry } from './connections/registry.ts'
import { MillraceError } from './errors.ts'
import { passHeadersPath } from './workflows-path.ts'

export interface MillracePluginOptions {
  /** Folders of the projects the worker serves, relative to the working directory. */
  projects: readonly string[]
  /** Where `env_var` and credentials look; default `process.env`. */
  env?: NodeJS.ProcessEnv
  /** By gateway: functions that take the place of the connection's `token`, called in the activity that needs a token. */
  tokens?: Readonly<Record<string, GetToken>>
  /**
   * Names of Temporal headers whose values the sources of credentials get as `values`, such as `tenant`: those with which a
   * workflow was started. They are in the history, so no secrets. Where workflows are bundled before, this plugin must be given
   * to the bundler, too.
   */
  authHeaders?: readonly string[]
}

/** The default of `concurrent_tasks`. */
const ENOUGH_QUERIES = 8
const ACTIVITY_SLOTS = 64

export class MillracePlugin extends SimplePlugin {
  readonly #options: MillracePluginOptions
  readonly #slots = createActivitySlots()
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
      ...withSlots(options, this.#slots, Object.keys(activities)),
      // A cancel request waits for the next heartbeat that is not throttled.
      maxHeartbeatThrottleInterval: options.maxHeartbeatThrottleInterval ?? '1s',
      maxEagerActivityReservationsPerWorkflowTask:
        options.maxEagerActivityReservationsPerWorkflowTask ?? ACTIVITY_SLOTS,
      activities: { ...options.activities, ...activities },
      ...this.#withInterceptors(options),
    }
    this.#configured.add(configured)
    return configured
  }

  override configureBundler(options: BundleOptions): BundleOptions {
    if (this.#authHeaders.length === 0) return options
    const modules = options.workflowInterceptorModules ?? []
    return { ...options, workflowInterceptorModules: [...modules, passHeadersPath] }
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

  get #authHeaders(): readonly string[] {
    return this.#options.authHeaders ?? []
  }

  #withInterceptors({ interceptors = {}, workflowsPath }: WorkerOptions): Pick<WorkerOptions, 'interceptors'> {
    const names = this.#authHeaders
    if (names.length === 0) return {}
    const keep: ActivityInterceptorsFactory = (context) => ({
      inbound: {
        execute: async (input, next) => {
          keepAuthValues(context, input.headers, names)
          return next(input)
        },
      },
    })
    return {
      interceptors: {
        ...interceptors,
        // First, so that interceptors of the user's can already ask for tokens.
        activity: [keep, ...(interceptors.activity ?? [])],
        // Of no use to a bundle that was made before.
        ...(workflowsPath === undefined
          ? {}
          : { workflowModules: [...(interceptors.workflowModules ?? []), passHeadersPath] }),
      },
    }
  }

  #openProjects(): WorkerProjects {
    const { env = process.env, tokens = {} } = this.#options
    this.#projects ??= new WorkerProjects(this.#options.projects, {
      env,
      tokens,
      registry: connectionRegistry(),
      standBy: { onGivenBack: (pid) => this.#slots.standBy(pid), onLeased: () => this.#slots.work() },
    })
    return this.#projects
  }
}

/** As Temporal's own. */
const MOST_POLLERS = 10

/**
 * As Temporal would make them of the worker's options, but that a worker that stands by asks for less. A tuner of the user's stays
 * as it is.
 */
function withSlots(options: WorkerOptions, slots: ActivitySlots, types: readonly string[]): WorkerOptions {
  const {
    maxConcurrentActivityTaskExecutions: activities = ACTIVITY_SLOTS,
    maxConcurrentWorkflowTaskExecutions: workflowTasks = 40,
    maxConcurrentLocalActivityExecutions: localActivities = 100,
    maxConcurrentNexusTaskExecutions: nexusTasks = 100,
    ...others
  } = options
  if (options.tuner !== undefined) return options
  const pollers = (most: number) => ({ type: 'simple-maximum', maximum: Math.min(MOST_POLLERS, most) }) as const
  return {
    activityTaskPollerBehavior: pollers(activities),
    workflowTaskPollerBehavior: pollers(workflowTasks),
    nexusTaskPollerBehavior: pollers(nexusTasks),
    ...others,
    tuner: {
      activityTaskSlotSupplier: slots.supplier(activities, types),
      workflowTaskSlotSupplier: { type: 'fixed-size', numSlots: workflowTasks },
      localActivityTaskSlotSupplier: { type: 'fixed-size', numSlots: localActivities },
      nexusTaskSlotSupplier: { type: 'fixed-size', numSlots: nexusTasks },
    },
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
