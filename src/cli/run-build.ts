/** A build from its start to its report: starts or joins it, follows it, leaves it. */
import type { WorkflowHandle } from '@temporalio/client'
import { MillraceError } from '../errors.ts'
import type { BuildId, BuildInput, BuildSummary } from '../payloads.ts'
import { toProjectHash } from '../project/project-hash.ts'
import { toBuildInput } from './build-input.ts'
import type { CommandContext } from './command.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { followUp } from './follow-up.ts'
import { follow } from './follow.ts'
import { onInterrupt } from './interrupt.ts'
import { nameMismatch } from './project-mismatch.ts'
import { failedSummary, isCanceled, toMillraceError } from './remote-error.ts'
import { reportText } from './report-text.ts'
import { awaitResult, firstRunId } from './running-build.ts'
import { findUnfinished, startBuild } from './start-build.ts'
import { readSessionReport } from './session-report.ts'
import type { TemporalSession } from './temporal-session.ts'
import { workflowUrl } from './workflow-url.ts'

export interface BuildRun {
  /** What the verb says of the build, beside its options. */
  asked: Pick<BuildInput, 'restate'>
  /** Of the folder's models: somebody else's worker must have the same. */
  hashes: Record<string, string>
  /** A build that was started before, on a server that is gone: it goes on if the project's new one knows it. */
  left: string | null
  onStarted: (workflowId: string) => void
}

export async function runBuild(
  session: TemporalSession,
  context: CommandContext,
  { asked, hashes, left, onStarted }: BuildRun,
): Promise<ExitCode> {
  const { project } = session
  const again = left === null ? null : await findUnfinished(session, left)
  const handle =
    again ??
    (await startBuild(session, context, {
      workflowId: `millrace/${project}/${context.options.environment}`,
      input: { ...toBuildInput(context, project, session.worker === null ? toProjectHash(hashes) : null), ...asked },
    }))
  onStarted(handle.workflowId)
  return followStarted(session, context, { handle, hashes })
}

/** From a build's start to its report; with `--detach` only says how to go on. */
export async function followStarted(
  session: TemporalSession,
  context: CommandContext,
  { handle, hashes }: StartedBuild,
): Promise<ExitCode> {
  const { options, output } = context
  const url = workflowUrl(session.server, handle)
  if (url !== null) output.say(`Web UI: ${url}`)
  if (options.detach) return detached(context, handle)
  const code = await followBuild(session, context, { handle, hashes })
  if (options.keep && code !== EXIT.interrupted) await keep(session, context)
  return code
}

export interface StartedBuild {
  handle: WorkflowHandle
  /** Of this folder's models. */
  hashes: Record<string, string>
}

async function followBuild(
  session: TemporalSession,
  context: CommandContext,
  { handle, hashes }: StartedBuild,
): Promise<ExitCode> {
  const { output } = context
  const embedded = session.server.embedded !== null
  const following = follow(handle, output)
  const interrupt = onInterrupt(() => {
    if (!embedded) return
    output.say('Cancelling: running queries are interrupted and rolled back (Ctrl-C again leaves at once)')
    void handle.cancel().catch(() => {})
  })
  const { result, giveUp } = awaitResult<BuildSummary>(handle)
  try {
    const ended = result.then(
      (summary: BuildSummary) => ({ error: null, joined: summary.joined }),
      (error: unknown) => ({ error, joined: failedSummary(error)?.joined }),
    )
    // On a server that goes on without us, Ctrl-C only stops following.
    const outcome = await Promise.race([
      ended,
      embedded ? new Promise<never>(() => {}) : interrupt.happened.then(() => 'detached' as const),
      workerFailure(session),
    ])
    await following.stop()
    if (outcome === 'detached') {
      output.say(leftBehind(session, context, handle))
      return EXIT.interrupted
    }
    return await printOutcome(session, context, {
      handle,
      hashes,
      error: outcome.error,
      joined: outcome.joined ?? null,
      interrupted: interrupt.count > 0,
    })
  } finally {
    giveUp()
    await following.stop()
    interrupt.remove()
  }
}

interface Outcome extends StartedBuild {
  error: unknown
  /** The build whose result it took for its own. */
  joined: BuildId | null
  interrupted: boolean
}

async function printOutcome(
  session: TemporalSession,
  context: CommandContext,
  { handle, hashes, error, joined, interrupted }: Outcome,
): Promise<ExitCode> {
  const canceled = isCanceled(error)
  if (error !== null && !canceled && failedSummary(error) === null) throw named(toMillraceError(error), hashes)
  if (joined !== null) context.output.say(`Joined '${joined.workflowId}' (run ${joined.runId})`)
  const report = await readSessionReport(
    session,
    context,
    joined ?? { workflowId: handle.workflowId, runId: await firstRunId(handle) },
  )
  if (report === null) {
    if (canceled)
      throw new MillraceError('CANCELED', `the build '${handle.workflowId}' was cancelled before it was planned`)
    throw new MillraceError('INTERNAL', `the build '${handle.workflowId}' left no report`)
  }
  context.output.answer(reportText(report), report)
  if (interrupted && canceled) return EXIT.interrupted
  return report.status === 'succeeded' ? EXIT.done : EXIT.failed
}

function named(error: unknown, hashes: Record<string, string>): unknown {
  return error instanceof MillraceError && error.code === 'PROJECT_MISMATCH' ? nameMismatch(error, hashes) : error
}

async function workerFailure({ worker }: TemporalSession): Promise<never> {
  if (worker !== null) await worker.ended
  return new Promise<never>(() => {})
}

function detached(context: CommandContext, handle: WorkflowHandle): ExitCode {
  const { workflowId } = handle
  context.output.answer(`Started '${workflowId}'. ${howToGoOn(context, workflowId)}`, { workflowId })
  return EXIT.done
}

/** A build outlives its command; a worker of the command's own does not. */
function leftBehind({ worker }: TemporalSession, context: CommandContext, { workflowId }: WorkflowHandle): string {
  const state =
    worker === null ? 'goes on' : 'waits for a worker: the next `build`, or a `worker.ts`, goes on where it was'
  return `The build '${workflowId}' ${state}.\n${howToGoOn(context, workflowId)}`
}

function howToGoOn(context: CommandContext, workflowId: string): string {
  return `Follow it: ${followUp(context, 'watch', workflowId)}\nStop it:   ${followUp(context, 'cancel', workflowId)}`
}

async function keep({ server }: TemporalSession, { output }: CommandContext): Promise<void> {
  output.say(`Temporal at ${server.address}${server.uiUrl === null ? '' : `, Web UI at ${server.uiUrl}`} until Ctrl-C`)
  const interrupt = onInterrupt(() => {})
  try {
    await Promise.race([interrupt.happened, ...(server.embedded === null ? [] : [server.embedded.ended])])
  } finally {
    interrupt.remove()
  }
}
