/** `plan`: what would be built and why. Builds nothing. */
import { randomUUID } from 'node:crypto'
import { previewPlan, type PreviewInput, type PreviewPage } from '../../activities/plan/preview-plan.ts'
import type { BuildInput, PlanReport } from '../../payloads.ts'
import { loadConfig } from '../../project/config.ts'
import type { CommandContext, Verb } from '../command.ts'
import { withDatabase } from '../database.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { planText } from '../report-text.ts'
import { executionTimeOf, toBuildInput } from '../build-input.ts'

/** Time a preview may take beside waiting for the database. */
const PREVIEW_TIMEOUT_MS = 120_000

export const planVerb: Verb = { run: (context) => preview(context, {}) }

/** @param asked what the verb says of the build, beside its options. */
export async function preview(context: CommandContext, asked: Pick<BuildInput, 'restate'>): Promise<ExitCode> {
  const { root, env, output } = context
  const { project, notices } = await loadConfig(root, env)
  for (const notice of notices) output.notice(notice)
  const input = { ...toBuildInput(context, project, null), ...asked, executionMs: executionTimeOf(context) }
  const report = await withDatabase(context, {
    direct: (projects, lockTimeoutSeconds) =>
      readPages((offset) => previewPlan(projects, { ...input, lockTimeoutSeconds, offset })),
    remote: (client, taskQueue) =>
      readPages((offset) =>
        client.workflow.execute<(input: PreviewInput) => Promise<PreviewPage>>('planPreview', {
          taskQueue,
          workflowId: `millrace/read/${randomUUID()}`,
          // A worker that died a moment ago still counts as one.
          workflowRunTimeout: PREVIEW_TIMEOUT_MS + context.options.lockTimeoutSeconds * 1000,
          args: [{ ...input, offset }],
        }),
      ),
  })
  output.answer(planText(report), report)
  return EXIT.done
}

async function readPages(read: (offset: number) => Promise<PreviewPage>): Promise<PlanReport> {
  let json = ''
  for (let next: number | null = 0; next !== null;) {
    const page: PreviewPage = await read(next)
    json += page.json
    next = page.next
  }
  return JSON.parse(json) as PlanReport
}
