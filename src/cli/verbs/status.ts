/** `status` and `watch`: a build's state, now or live. */
import type { WorkflowHandle } from '@temporalio/client'
import { readBuildPage } from '../../activities/report/read-build.ts'
import { MillraceError } from '../../errors.ts'
import type { BuildProgress, BuildReport, ModelReport } from '../../payloads.ts'
import { loadConfig } from '../../project/config.ts'
import type { CommandContext, Verb } from '../command.ts'
import { withDatabase } from '../database.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { follow } from '../follow.ts'
import { onInterrupt } from '../interrupt.ts'
import { readReport, remotePages } from '../read-report.ts'
import { reportText } from '../report-text.ts'
import { awaitResult, buildHandle, statusOf } from '../running-build.ts'
import { toReportInput } from '../session-report.ts'
import { openTemporal, type TemporalSession } from '../temporal-session.ts'

const REPORT_TIMEOUT_MS = 60_000

export const statusVerb: Verb = {
  async run(context) {
    const report = await readStatus(context)
    context.output.answer(reportText(report), report)
    return EXIT.done
  },
}

export const watchVerb: Verb = {
  async run(context) {
    const session = await openSession(context)
    if (session !== null) {
      try {
        const code = await watchRunning(session, context)
        if (code !== null) return code
      } finally {
        await session.close()
      }
    }
    const report = await readStatus(context)
    context.output.answer(reportText(report), report)
    return report.status === 'succeeded' ? EXIT.done : EXIT.failed
  },
}

/** Null where no Temporal server answers: what was built is in the state all the same. */
async function openSession(context: CommandContext): Promise<TemporalSession | null> {
  try {
    return await openTemporal(context, { worker: false, mayStart: false })
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'TEMPORAL_UNAVAILABLE') return null
    throw error
  }
}

/** Follows the build to its end; null when it does not run. */
async function watchRunning(session: TemporalSession, context: CommandContext): Promise<ExitCode | null> {
  const handle = session.client.workflow.getHandle(workflowIdOf(context, session.project))
  if ((await statusOf(handle)) !== 'RUNNING') return null
  const following = follow(handle, context.output)
  const interrupt = onInterrupt(() => {})
  const { result, giveUp } = awaitResult(handle)
  try {
    const ended = result.then(
      () => 'ended' as const,
      () => 'ended' as const,
    )
    const outcome = await Promise.race([ended, interrupt.happened.then(() => 'left' as const)])
    return outcome === 'left' ? EXIT.interrupted : null
  } finally {
    giveUp()
    await following.stop()
    interrupt.remove()
  }
}

async function readStatus(context: CommandContext): Promise<BuildReport> {
  const { root, env, options, args } = context
  const { project } = await loadConfig(root, env)
  const input = toReportInput(context, project, { workflowId: args[0] ?? null, runId: null })
  const report = await withDatabase(context, {
    direct: (projects, lockTimeoutSeconds) =>
      readReport((page) => readBuildPage(projects, { ...page, lockTimeoutSeconds }), input),
    async remote(client, taskQueue) {
      const recorded = await readReport(remotePages(client, taskQueue, REPORT_TIMEOUT_MS), input)
      return recorded === null ? null : withRunning(recorded, buildHandle(client, recorded))
    },
  })
  if (report !== null) return report
  throw new MillraceError(
    'USAGE',
    `expected a build of environment '${options.environment}' of project '${project}'; there was none${args[0] === undefined ? '' : ` with workflow id '${args[0]}'`}`,
    {
      hint: 'start one with `build`',
    },
  )
}

/** The state knows what is done; what runs just now only the workflow knows. */
async function withRunning(report: BuildReport, handle: WorkflowHandle): Promise<BuildReport> {
  if (report.status !== 'running') return report
  const answer = await handle.query<BuildProgress>('progress').catch(() => null)
  const progress = answer?.runId === report.runId ? answer : null
  const running = new Map(progress?.running.map(({ name, startedAt }) => [name, startedAt]))
  const models = report.models.map((model): ModelReport => {
    const startedAt = running.get(model.name)
    return startedAt === undefined ? model : { ...model, status: 'running', startedAt }
  })
  return { ...report, counts: progress?.counts ?? report.counts, models }
}

function workflowIdOf({ args, options }: CommandContext, project: string): string {
  return args[0] ?? `millrace/${project}/${options.environment}`
}
