/** A project with a worker of its own in this process: builds it, and reads what people would read. */
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { failedSummary, toMillraceError } from '../../src/cli/remote-error.ts'
import { readReport, remotePages } from '../../src/cli/read-report.ts'
import { parseConnection } from '../../src/connections/config.ts'
import type { Lease } from '../../src/connections/lease.ts'
import { connectionRegistry } from '../../src/connections/registry.ts'
import type { BuildInput, BuildReport, ModelReport, PlanReport } from '../../src/payloads.ts'
import { startBuild, TASK_QUEUE, type TestServer } from './worker.ts'

export interface BuiltProject {
  root: string
  /** Builds to the end. @returns the report, of a failed build too. @throws MillraceError when it could not start. */
  build(input?: BuildInput): Promise<BuildReport>
  /** Of the latest build of a workflow. */
  report(handle: Pick<WorkflowHandle, 'workflowId'>): Promise<BuildReport>
  plan(input?: BuildInput): Promise<PlanReport>
  /** A connection to its database, from the registry of this process. */
  lease(holder?: string): Promise<Lease>
  rows(sql: string): Promise<Record<string, unknown>[]>
  run(sql: string): Promise<void>
  /** Names of the views and tables outside of Millrace's own schemas, e.g. `view a.b`. */
  names(): Promise<string[]>
  stop(): Promise<void>
}

export interface OpenOptions {
  /** File of its database, in its folder. Default `w.duckdb`. */
  database?: string
  /** Other projects of the same worker. */
  roots?: string[]
  /** `connector_config` as in the project's config. */
  settings?: Record<string, string>
  /** The gateway's whole `connection`, where it is no file. */
  connection?: Record<string, unknown>
}

/** The worker stops with the test. */
export async function openProject(
  server: TestServer,
  root: string,
  { database = 'w.duckdb', roots = [], settings = {}, connection }: OpenOptions = {},
): Promise<BuiltProject> {
  const worker = await server.startWorker([root, ...roots])
  onTestFinished(() => worker.stop())
  const config = parseConnection(
    connection ?? { type: 'duckdb', database: join(root, database), connector_config: settings },
    { root, env: {} },
  )
  const { client } = server
  const lease = (holder = 'test'): Promise<Lease> => connectionRegistry().lease(config, { holder })

  async function rows(sql: string): Promise<Record<string, unknown>[]> {
    await using opened = await lease()
    return await opened.rows(sql)
  }

  async function report({ workflowId }: Pick<WorkflowHandle, 'workflowId'>, name?: string): Promise<BuildReport> {
    const found = await readReport(remotePages(client, TASK_QUEUE, 60_000), {
      ...(name === undefined ? {} : { project: name }),
      environment: 'prod',
      workflowId,
      runId: null,
      lockTimeoutSeconds: 10,
    })
    if (found === null) throw new Error(`${workflowId} left no report`)
    return found
  }

  return {
    root,
    lease,
    rows,
    report,
    stop: () => worker.stop(),
    async run(sql) {
      await using opened = await lease()
      await opened.run(sql)
    },
    async build(input = {}) {
      const handle = await startBuild(server, input)
      try {
        await handle.result()
      } catch (error) {
        if (!(error instanceof WorkflowFailedError)) throw error
        if (failedSummary(error) === null) throw toMillraceError(error)
      }
      return report(handle, input.project)
    },
    async plan(input = {}) {
      const executionMs = input.executionTime === undefined ? Date.now() : Date.parse(input.executionTime)
      try {
        const page: { json: string } = await client.workflow.execute('planPreview', {
          taskQueue: TASK_QUEUE,
          workflowId: `plan/${randomUUID()}`,
          args: [{ ...input, executionMs, offset: 0 }],
        })
        return JSON.parse(page.json) as PlanReport
      } catch (error) {
        throw toMillraceError(error)
      }
    },
    async names() {
      const found = await rows(
        `SELECT 'table ' || schema_name || '.' || table_name AS name FROM duckdb_tables() WHERE NOT schema_name.starts_with('millrace')
         UNION ALL SELECT 'view ' || schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal AND NOT schema_name.starts_with('millrace')
         ORDER BY ALL`,
      )
      return found.map(({ name }) => String(name))
    },
  }
}

/** How each model ended, by name. */
export function statuses(report: BuildReport): Record<string, ModelReport['status']> {
  return Object.fromEntries(report.models.map(({ name, status }) => [name, status]))
}

/** Names of the models a build worked on, sorted. */
export function builtModels(report: BuildReport): string[] {
  return report.models
    .filter(({ attempts }) => attempts > 0)
    .map(({ name }) => name)
    .sort()
}

export function modelOf(report: BuildReport, name: string): ModelReport {
  const model = report.models.find((candidate) => candidate.name === name)
  if (model === undefined)
    throw new Error(`no model '${name}' in the report: ${report.models.map((m) => m.name).join(', ')}`)
  return model
}
