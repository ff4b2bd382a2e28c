/** `retry`: the latest build once more, as it was asked for: what failed or was skipped is built, then all of it is promoted. */
import { MillraceError } from '../../errors.ts'
import type { BuildReport } from '../../payloads.ts'
import { modelHashes, toProjectHash } from '../../project/project-hash.ts'
import { toBuildInput } from '../build-input.ts'
import type { CommandContext, Verb } from '../command.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { endWithLaunchers } from '../lifetime.ts'
import { loadForVerb } from '../load-for-verb.ts'
import { buildHandle } from '../running-build.ts'
import { readSessionReport } from '../session-report.ts'
import { startBuild } from '../start-build.ts'
import { steerBuild } from '../steer-build.ts'
import { openTemporal, type TemporalSession } from '../temporal-session.ts'

export const retryVerb: Verb = {
  async run(context) {
    endWithLaunchers()
    const hashes = await loadHashes(context)
    const session = await openTemporal(context, { worker: true, mayStart: true })
    try {
      const report = await readLatest(session, context)
      const isLive = report.status === 'running' && (await runsStill(session, report))
      if (isLive) return await retryRunning(session, context, { report, hashes })
      if (report.status === 'succeeded') {
        context.output.answer(`Nothing to retry: '${report.workflowId}' succeeded`, report)
        return EXIT.done
      }
      const hash = session.worker === null ? toProjectHash(hashes) : null
      const { workflowId } = report
      const input = { ...toBuildInput(context, session.project, hash), retryOf: workflowId }
      const handle = await startBuild(session, context, { workflowId, input })
      const { followStarted } = await import('../run-build.ts')
      return await followStarted(session, context, { handle, hashes })
    } finally {
      await session.close()
    }
  },
}

async function loadHashes(context: CommandContext): Promise<Record<string, string>> {
  await using loaded = await loadForVerb(context)
  return modelHashes(loaded.project)
}

/** @throws MillraceError USAGE when there is none. */
async function readLatest(session: TemporalSession, context: CommandContext): Promise<BuildReport> {
  const { args, options } = context
  const report = await readSessionReport(session, context, { workflowId: args[0] ?? null, runId: null })
  if (report !== null) return report
  const which = args[0] === undefined ? `of environment '${options.environment}'` : `with workflow id '${args[0]}'`
  throw new MillraceError('USAGE', `expected a build ${which} of project '${session.project}'; its state knows none`, {
    hint: 'a build that could not be planned leaves none: start one with `build`',
  })
}

async function runsStill({ client }: TemporalSession, { workflowId, runId }: BuildReport): Promise<boolean> {
  const { findLive } = await import('../../activities/queue/live-builds.ts')
  return (await findLive(client, { workflowId, runId })) !== null
}

interface RunningBuild {
  report: BuildReport
  hashes: Record<string, string>
}

/** What has failed so far is tried again within the build. */
async function retryRunning(
  session: TemporalSession,
  context: CommandContext,
  { report, hashes }: RunningBuild,
): Promise<ExitCode> {
  const handle = buildHandle(session.client, report)
  try {
    context.output.say(await steerBuild(handle, 'retryModel', { waitSeconds: context.options.waitSeconds }))
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'USAGE') throw error
    // One that a command has left behind goes on here all the same.
    if (session.worker === null) {
      context.output.answer(`Nothing to retry: '${report.workflowId}' is running; ${error.message}`, report)
      return EXIT.done
    }
    context.output.say(`Going on with the unfinished build '${report.workflowId}'`)
  }
  const { followStarted } = await import('../run-build.ts')
  return followStarted(session, context, { handle, hashes })
}
