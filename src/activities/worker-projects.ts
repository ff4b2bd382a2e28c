/** The projects a worker serves: where their folders lie, how their databases are reached, which definitions are at hand. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseConnection, type ConnectionConfig } from '../connections/config.ts'
import { placesOfLiterals } from '../connections/config/literal-secrets.ts'
import type { GetToken } from '../connections/credentials/credential.ts'
import { queryThreads } from '../connections/query-threads.ts'
import type { Lease } from '../connections/lease.ts'
import type { ConnectionRegistry, LeaseOptions } from '../connections/registry.ts'
import { MillraceError, nearest } from '../errors.ts'
import { loadConfig, type ProjectConfig } from '../project/config.ts'
import type { ModelDefinition } from '../project/definition.ts'
import { loadProject } from '../project/load.ts'
import type { Project } from '../project/project.ts'
import { createSqlParser, type SqlParser } from '../project/sql-parser.ts'
import { authValues } from './auth-values.ts'
import { activityAuth } from './heartbeat.ts'
import { createLeaseOrGiveBack, type LeaseOrGiveBack, type StandByOptions } from './lease-or-give-back.ts'

/** Definitions kept in memory; those of larger projects are read from the state when a step needs them. */
const KEPT_DEFINITIONS = 5_000

/** One project with one gateway. */
export interface WorkerProject {
  readonly root: string
  readonly parser: SqlParser
  /** What it leases. */
  readonly connection: ConnectionConfig
  /** Leases its connection gives at once. */
  readonly concurrentTasks: number
  /** @throws ApplicationFailure that gives the activity back when another worker of its queue holds the file. */
  lease(options: LeaseOptions): Promise<Lease>
  /** Whether opening the database finds it, or makes it. */
  databaseExists(): boolean
  /** From memory, else from `read`. */
  definition(hash: string, read: () => Promise<ModelDefinition>): Promise<ModelDefinition>
  keepDefinition(hash: string, definition: ModelDefinition): void
  /** Runs `work` once however many callers ask for it at a time; they share its result. */
  together(key: string, work: () => Promise<void>): Promise<void>
}

export interface LoadedProject {
  project: Project
  worker: WorkerProject
}

export interface WorkerProjectsOptions {
  env: NodeJS.ProcessEnv
  registry: ConnectionRegistry
  /** By gateway: functions in the place of the connection's `token`. */
  tokens?: Readonly<Record<string, GetToken>>
  /** Told when another worker holds a database, and when it can be had. */
  standBy?: StandByOptions
}

const NOBODY_ELSE: StandByOptions = { onGivenBack: () => undefined, onLeased: () => undefined }

export class WorkerProjects {
  readonly parser = createSqlParser()
  readonly #roots: string[]
  readonly #env: NodeJS.ProcessEnv
  readonly #registry: ConnectionRegistry
  readonly #names = new Map<string, string>()
  readonly #standBy: StandByOptions
  readonly #tokens: Readonly<Record<string, GetToken>>
  readonly #connections = new Map<string, ConnectionConfig>()
  readonly #leases = new Map<string, LeaseOrGiveBack>()
  readonly #definitions = new Map<string, ModelDefinition>()
  readonly #together = new Map<string, Promise<void>>()

  /** @param folders of the projects, relative to the working directory. */
  constructor(folders: readonly string[], options: WorkerProjectsOptions) {
    this.#roots = folders.map((folder) => resolve(folder))
    this.#env = options.env
    this.#registry = options.registry
    this.#standBy = options.standBy ?? NOBODY_ELSE
    this.#tokens = options.tokens ?? {}
  }

  /** Reads the folder anew. @param name may be left out when the worker serves one project. */
  async load(
    name: string | undefined,
    options: { gateway?: string; vars?: Record<string, string> },
  ): Promise<LoadedProject> {
    const root = await this.#findRoot(name)
    const project = await loadProject(root, { ...options, env: this.#env, parser: this.parser })
    const connection = this.#keepConnection(project.name, project.gateway, root, project.config)
    const notices = [...project.notices, ...plainTextNotices(connection)]
    return { project: { ...project, notices }, worker: this.#worker(root, project.name, project.gateway) }
  }

  /** For a step: the folder is not read when this worker has planned or built with the gateway before. */
  async open(name: string, gateway: string): Promise<WorkerProject> {
    const root = await this.#findRoot(name)
    if (!this.#connections.has(connectionName(name, gateway))) {
      this.#keepConnection(name, gateway, root, await loadConfig(root, this.#env))
    }
    return this.#worker(root, name, gateway)
  }

  /** The gateway a project uses when none is named. */
  async defaultGateway(name: string | undefined): Promise<{ name: string; gateway: string }> {
    const config = await loadConfig(await this.#findRoot(name), this.#env)
    return { name: config.project, gateway: config.defaultGateway }
  }

  async close(): Promise<void> {
    await this.parser.close()
  }

  async #findRoot(name: string | undefined): Promise<string> {
    const [only] = this.#roots
    if (name === undefined && only !== undefined && this.#roots.length === 1) return only
    if (this.#names.size === 0) {
      for (const root of this.#roots) this.#names.set((await loadConfig(root, this.#env)).project, root)
    }
    const root = name === undefined ? undefined : this.#names.get(name)
    if (root !== undefined) return root
    const known = [...this.#names.keys()]
    const near = name === undefined ? null : nearest(name, known)
    throw new MillraceError(
      'USAGE',
      `expected one of the projects this worker serves (${known.join(', ')}); got ${name === undefined ? 'none' : `'${name}'`}`,
      near === null ? {} : { hint: `Did you mean '${near}'?` },
    )
  }

  #keepConnection(name: string, gateway: string, root: string, config: ProjectConfig): ConnectionConfig {
    const raw = config.gateways[gateway]?.connection
    if (raw === undefined) throw new MillraceError('CONFIG', `gateway '${gateway}' is not in the project's config`)
    const token = this.#tokens[gateway]
    const connection = parseConnection(token === undefined ? raw : { ...raw, token }, { root, env: config.env })
    // More queries at once than threads would stall DNS, files and token refresh behind them.
    const concurrentTasks = Math.min(connection.concurrentTasks, queryThreads(process.env))
    const kept = { ...connection, concurrentTasks }
    this.#connections.set(connectionName(name, gateway), kept)
    return kept
  }

  #worker(root: string, name: string, gateway: string): WorkerProject {
    const config = this.#connections.get(connectionName(name, gateway))
    if (config === undefined) throw new Error(`no connection for ${name}`)
    const leaseOrGiveBack = this.#leaseOf(connectionName(name, gateway))
    return {
      root,
      parser: this.parser,
      connection: config,
      concurrentTasks: config.concurrentTasks,
      // Every lease of an activity says whose it is: tenants have databases of their own.
      lease: (options) =>
        leaseOrGiveBack((wait) => this.#registry.lease(config, wait), { auth: activityAuth(), ...options }),
      databaseExists: () => config.type !== 'duckdb' || config.database === null || existsSync(config.database),
      definition: async (hash, read) => {
        const kept = this.#definitions.get(hash)
        if (kept !== undefined) return kept
        const definition = await read()
        this.#keepDefinition(hash, definition)
        return definition
      },
      keepDefinition: (hash, definition) => this.#keepDefinition(hash, definition),
      together: (key, work) => this.#shared(JSON.stringify([name, gateway, authValues(), key]), work),
    }
  }

  /** Kept: it knows what was told of the database's holder. */
  #leaseOf(connection: string): LeaseOrGiveBack {
    const kept = this.#leases.get(connection) ?? createLeaseOrGiveBack(this.#standBy)
    this.#leases.set(connection, kept)
    return kept
  }

  #keepDefinition(hash: string, definition: ModelDefinition): void {
    if (this.#definitions.size >= KEPT_DEFINITIONS) this.#definitions.clear()
    this.#definitions.set(hash, definition)
  }

  async #shared(key: string, work: () => Promise<void>): Promise<void> {
    const running = this.#together.get(key)
    if (running !== undefined) return running
    // Stored before it is awaited, so that a second caller joins; forgotten at its end, so that a failure is not kept.
    const promise = work().finally(() => this.#together.delete(key))
    this.#together.set(key, promise)
    return promise
  }
}

function plainTextNotices(connection: ConnectionConfig): string[] {
  const places = placesOfLiterals(connection)
  if (places.length === 0) return []
  return [`${places.join(', ')}: a secret stands there as plain text; name a variable, a file or a command instead`]
}

function connectionName(name: string, gateway: string): string {
  return JSON.stringify([name, gateway])
}
