/** `audit`: runs the audits of models against what the environment has now. Builds nothing. */
import { randomUUID } from 'node:crypto'
import { auditModels, type AuditInput, type AuditPage } from '../../activities/audit-models.ts'
import type { AuditReport } from '../../payloads.ts'
import { loadConfig } from '../../project/config.ts'
import { auditText } from '../audit-text.ts'
import { executionTimeOf, toBuildInput } from '../build-input.ts'
import type { Verb } from '../command.ts'
import { withDatabase } from '../database.ts'
import { EXIT } from '../exit-codes.ts'

/** Time one page of audits may take beside waiting for the database. */
const PAGE_TIMEOUT_MS = 3_600_000

export const auditVerb: Verb = {
  async run(context) {
    const { root, env, output, options } = context
    const { project, notices } = await loadConfig(root, env)
    for (const notice of notices) output.notice(notice)
    const input = { ...toBuildInput(context, project, null), executionMs: executionTimeOf(context) }
    const report = await withDatabase(context, {
      direct: (projects, lockTimeoutSeconds) =>
        runPages((offset) => auditModels(projects, { ...input, lockTimeoutSeconds, offset })),
      remote: (client, taskQueue) =>
        runPages((offset) =>
          client.workflow.execute<(input: AuditInput) => Promise<AuditPage>>('auditEnvironment', {
            taskQueue,
            workflowId: `millrace/read/${randomUUID()}`,
            workflowRunTimeout: PAGE_TIMEOUT_MS + options.lockTimeoutSeconds * 1000,
            args: [{ ...input, offset }],
          }),
        ),
    })
    output.answer(auditText(report), report)
    return report.audits.some(({ status }) => status === 'fail') ? EXIT.failed : EXIT.done
  },
}

async function runPages(run: (offset: number) => Promise<AuditPage>): Promise<AuditReport> {
  const first = await run(0)
  const { report } = first
  for (let { next } = first; next !== null;) {
    const page: AuditPage = await run(next)
    report.audits.push(...page.report.audits)
    next = page.next
  }
  return report
}
