/**
 * The plugin that makes any Temporal worker build projects: activities, heartbeat and shutdown settings, and the
 * connection registry's life. Nothing is opened and no environment is read before a worker is made.
 */
import { SimplePlugin } from '@temporalio/plugin'
import type { ActivityInterceptorsFactory, BundleOptions, Worker, WorkerOptions } from '@temporalio/worker'
import { createActivitySlots } from './activities/activity-slots.ts'
import { keepAuthValues } from './activities/auth-values.ts'
import { reportConnections } from './connection-metrics.ts'
import type { GetToken } from './connections/credentials/credential.ts'
import { queryThreads } from './connections/query-threads.ts'
import type { ConnectionRegistry } from './connections/registry.ts'
import { MillraceError } from './errors.ts'
import { ACTIVITY_NAMES, lateActivities } from './plugin/late-activities.ts'
import { withLogAttributes } from './plugin/log-attributes.ts'
import type { Work } from './plugin/work.ts'
import { ACTIVITY_SLOTS, withSlots } from './plugin/worker-slots.ts'
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
   * workflow was started. They are in the history, so no secrets. Where workflows of your own are bundled before, this plugin must
   * be given to the bundler, too; the bundle at `workflowBundlePath` passes headers on.
   */
  authHeaders?: readonly string[]
}

/** The default of `concurrent_tasks`. */
const ENOUGH_QUERIES = 8

export class MillracePlugin extends SimplePlugin {
  readonly #options: MillracePluginOptions
  readonly #slots = createActivitySlots()
  readonly #configured = new WeakSet<WorkerOptions>()
  #work: Promise<Work> | null = null
  #running = 0

  constructor(options: MillracePluginOptions) {
    super({ name: 'millrace.MillracePlugin' })
    this.#options = options
  }

  /** @throws MillraceError USAGE when an activity of the worker has the name of one of ours. */
  override configureWorker(options: WorkerOptions): WorkerOptions {
    // Given to the connection and to the worker, a plugin is asked twice.
    if (this.#configured.has(options)) return options
    for (const name of ACTIVITY_NAMES) {
      const existing: object = options.activities ?? {}
      if (!(name in existing)) continue
      throw new MillraceError('USAGE', `the worker has an activity '${name}' of its own, which Millrace needs`, {
        hint: 'rename it, or give Millrace a worker of its own',
      })
    }
    const configured: WorkerOptions = {
      shutdownGraceTime: '30s',
      ...withSlots(options, this.#slots, ACTIVITY_NAMES),
      // A cancel request waits for the next heartbeat that is not throttled.
      maxHeartbeatThrottleInterval: options.maxHeartbeatThrottleInterval ?? '1s',
      maxEagerActivityReservationsPerWorkflowTask:
        options.maxEagerActivityReservationsPerWorkflowTask ?? ACTIVITY_SLOTS,
      activities: { ...options.activities, ...lateActivities(async () => (await this.#load()).activities) },
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
    this.#running += 1
    warnOfFewThreads()
    // Neither is awaited: whoever has called `run` may call `shutdown` next, which only a running worker hears, and what has
    // to be loaded must not keep it from asking for work.
    const working = this.#load()
    const owning = working.then(({ registry }) => own(registry, `worker ${worker.options.identity}`))
    // One that can do nothing must not take anything.
    owning.catch(() => {
      if (worker.getState() === 'RUNNING') worker.shutdown()
    })
    try {
      await super.runWorker(worker, next)
    } finally {
      // After the worker has drained; the last owner in the process closes the databases.
      await owning.then((disown) => disown()).finally(() => (this.#running -= 1))
      // Another worker of this plugin may be planning.
      if (this.#running === 0) await (await working).close()
    }
  }

  get #authHeaders(): readonly string[] {
    return this.#options.authHeaders ?? []
  }

  #withInterceptors({ interceptors = {}, workflowsPath }: WorkerOptions): Pick<WorkerOptions, 'interceptors'> {
    const names = this.#authHeaders
    const keep: ActivityInterceptorsFactory = (context) => ({
      inbound: {
        execute: async (input, next) => {
          keepAuthValues(context, input.headers, names)
          return next(input)
        },
      },
    })
    // First, so that interceptors of the user's can already ask for tokens.
    const ours = names.length === 0 ? [withLogAttributes] : [withLogAttributes, keep]
    // Of no use to a bundle that was made before.
    const passing = names.length > 0 && workflowsPath !== undefined
    return {
      interceptors: {
        ...interceptors,
        activity: [...ours, ...(interceptors.activity ?? [])],
        ...(passing ? { workflowModules: [...(interceptors.workflowModules ?? []), passHeadersPath] } : {}),
      },
    }
  }

  async #load(): Promise<Work> {
    const { env = process.env, tokens = {}, projects } = this.#options
    const standBy = { onGivenBack: (pid: number) => this.#slots.standBy(pid), onLeased: () => this.#slots.work() }
    this.#work ??= import('./plugin/work.ts').then(({ createWork }) => createWork(projects, { env, tokens, standBy }))
    return this.#work
  }
}

/** @returns what gives it up. */
async function own(registry: ConnectionRegistry, name: string): Promise<() => Promise<void>> {
  const owner = registry.attach(name)
  const stopReporting = await startReporting(registry)
  return async () => {
    stopReporting()
    await owner.detach()
  }
}

/** The package is loaded already where a worker runs; those who only start builds need not load it. */
async function startReporting(registry: ConnectionRegistry): Promise<() => void> {
  const { Runtime } = await import('@temporalio/worker')
  return reportConnections(registry, Runtime.instance().metricMeter)
}

function warnOfFewThreads(): void {
  const queries = queryThreads(process.env)
  if (queries >= ENOUGH_QUERIES) return
  process.emitWarning(
    `DuckDB's queries share libuv's threads with DNS, files and token refresh, so at most ${queries} run at once: set UV_THREADPOOL_SIZE=64 in the environment before the process starts`,
    { code: 'MILLRACE_FEW_THREADS' },
  )
}
