/** A build's report, by whoever holds the database: a worker of the command's own, or somebody else's. */
import { readBuildPage, type ReadBuildInput } from '../activities/report/read-build.ts'
import type { BuildReport } from '../payloads.ts'
import type { CommandContext } from './command.ts'
import { withProjects } from './database.ts'
import { readReport, remotePages } from './read-report.ts'
import type { TemporalSession } from './temporal-session.ts'

/** Time a report's page may take: the worker may wait for its turn at the database. */
const REPORT_TIMEOUT_MS = 120_000

/** Which build's; see `ReadBuildInput`. */
export type ReportedBuild = Pick<ReadBuildInput, 'workflowId' | 'runId'>

/** @returns null when the state knows no such build. */
export async function readSessionReport(
  { client, taskQueue, project, worker }: TemporalSession,
  context: CommandContext,
  build: ReportedBuild,
): Promise<BuildReport | null> {
  const input = toReportInput(context, project, build)
  // A worker of our own holds the database in this very process.
  return worker === null
    ? readReport(remotePages(client, taskQueue, REPORT_TIMEOUT_MS), input)
    : withProjects(context, (projects) => readReport((page) => readBuildPage(projects, page), input))
}

export function toReportInput(
  { options }: CommandContext,
  project: string,
  build: ReportedBuild,
): Omit<ReadBuildInput, 'offset'> {
  return {
    project,
    ...(options.gateway === null ? {} : { gateway: options.gateway }),
    environment: options.environment,
    ...build,
    lockTimeoutSeconds: options.lockTimeoutSeconds,
  }
}
