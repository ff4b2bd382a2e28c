/** A build's report, read page by page through a worker that holds the database. */
import type { Client } from '@temporalio/client'
import { randomUUID } from 'node:crypto'
import type { ReadBuildInput, ReportPage } from '../activities/report/read-build.ts'
import type { BuildReport } from '../payloads.ts'

/** Reads one page; null when the state knows no such build. */
export type PageReader = (input: ReadBuildInput) => Promise<ReportPage | null>

/** @returns null when the state knows no such build. */
export async function readReport(read: PageReader, input: Omit<ReadBuildInput, 'offset'>): Promise<BuildReport | null> {
  const first = await read({ ...input, offset: 0 })
  if (first === null) return null
  const { report } = first
  const build = { workflowId: report.workflowId, runId: report.runId }
  for (let next = first.next; next !== null;) {
    const page: ReportPage | null = await read({ ...input, ...build, offset: next })
    report.models.push(...(page?.report.models ?? []))
    next = page?.next ?? null
  }
  return report
}

/** Pages by way of a short workflow, for databases that another process holds. */
export function remotePages(client: Client, taskQueue: string, timeoutMs: number): PageReader {
  return (input) =>
    client.workflow.execute<(input: ReadBuildInput) => Promise<ReportPage | null>>('readBuildReport', {
      taskQueue,
      workflowId: `millrace/read/${randomUUID()}`,
      workflowRunTimeout: timeoutMs,
      args: [input],
    })
}
