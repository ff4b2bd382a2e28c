/** A build from its start to its report: starts or joins it, follows it, leaves it. */
import { WorkflowExecutionAlreadyStartedError, type WorkflowHandle } from '@temporalio/client'
import { readBuildPage } from '../activities/read-build.ts'
import { MillraceError } from '../errors.ts'
import type { BuildReport } from '../payloads.ts'
import { toProjectHash } from '../project/project-hash.ts'
import { toBuildInput } from './build-input.ts'
import type { CommandContext } from './command.ts'
import { withProjects } from './database.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { followUp } from './follow-up.ts'
import { follow } from './follow.ts'
import { onInterrupt } from './interrupt.ts'
import { ownIdentity, isAlive, type ProcessIdentity } from './process-identity.ts'
import { nameMismatch } from './project-mismatch.ts'
import { readReport, remotePages } from './read-report.ts'
import { failedSummary, isCanceled, toMillraceError } from './remote-error.ts'
import { reportText } from './report-text.ts'
import type { TemporalSession } from './temporal-session.ts'
import { workflowUrl } from './workflow-url.ts'

/** Time a report's page may take: the worker may wait for its turn at the database. */
const REPORT_TIMEOUT_MS = 120_000

/** @param hashes of the folder's models: somebody else's worker must have the same. */
export async function runBuild(
  session: TemporalSession,
  context: CommandContext,
  hashes: Record<string, string>,
): Promise<ExitCode> {
  const { options, output } = context
  const handle = await startBuild(session, context, session.worker === null ? toProjectHash(hashes) : null)
  const url = workflowUrl(session.server, handle)
  if (url !== null) output.say(`Web UI: ${url}`)
  if (options.detach) return detached(context, handle)
  const code = await followBuild(session, context, { handle, hashes })
  if (options.keep && code !== EXIT.interrupted) await keep(session, context)
  return code
}

/** Starts the environment's build, or joins one whose command is gone. */
async function startBuild(
  { client, project, taskQueue, worker }: TemporalSession,
  context: CommandContext,
  hash: string | null,
): Promise<WorkflowHandle> {
  const workflowId = `millrace/${project}/${context.options.environment}`
  try {
    return await client.workflow.start('buildProject', {
      taskQueue,
      workflowId,
      args: [toBuildInput(context, project, hash)],
      staticSummary: `${project} · ${context.options.environment}${context.options.select === null ? '' : ` · ${context.options.select}`}`,
      // Only a build whose worker lives in its command can be left behind by that command.
      memo: worker === null ? {} : { millraceOwner: ownIdentity() },
    })
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error
    const running = client.workflow.getHandle(workflowId)
    const { memo, runId } = await running.describe()
    const owner = memo?.['millraceOwner'] as ProcessIdentity | undefined
    if (owner !== undefined && !isAlive(owner)) {
      context.output.say(`Going on with the unfinished build '${workflowId}'`)
      return client.workflow.getHandle(workflowId, runId)
    }
    throw new MillraceError(
      'BUILD_RUNNING',
      `environment '${context.options.environment}' of project '${project}' is being built by '${workflowId}' (run ${runId})`,
      {
        hint: `wait for it, follow it with \`watch\`, or stop it with \`cancel\``,
      },
    )
  }
}

interface StartedBuild {
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
  // The wait is a request that the server answers after 20 s at the latest: unless it is given up, it keeps the process alive.
  const waiting = new AbortController()
  try {
    const result = handle.client.withAbortSignal(waiting.signal, () => handle.result())
    const ended = result.then(
      () => null,
      (error: unknown) => ({ error }),
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
      error: outcome?.error ?? null,
      interrupted: interrupt.count > 0,
    })
  } finally {
    waiting.abort()
    await following.stop()
    interrupt.remove()
  }
}

interface Outcome extends StartedBuild {
  error: unknown
  interrupted: boolean
}

async function printOutcome(
  session: TemporalSession,
  context: CommandContext,
  { handle, hashes, error, interrupted }: Outcome,
): Promise<ExitCode> {
  const canceled = isCanceled(error)
  if (error !== null && !canceled && failedSummary(error) === null) throw named(toMillraceError(error), hashes)
  const report = await reportOf(session, context, handle)
  if (report === null) {
    if (canceled)
      throw new MillraceError('CANCELED', `the build '${handle.workflowId}' was cancelled before it was planned`)
    throw new MillraceError('INTERNAL', `the build '${handle.workflowId}' left no report`)
  }
  context.output.answer(reportText(report), report)
  if (interrupted && canceled) return EXIT.interrupted
  return report.status === 'succeeded' ? EXIT.done : EXIT.failed
}

async function reportOf(
  { client, taskQueue, project, worker }: TemporalSession,
  context: CommandContext,
  handle: WorkflowHandle,
): Promise<BuildReport | null> {
  const { options } = context
  const { runId } = await handle.describe()
  const input = {
    project,
    ...(options.gateway === null ? {} : { gateway: options.gateway }),
    environment: options.environment,
    workflowId: handle.workflowId,
    runId,
    lockTimeoutSeconds: options.lockTimeoutSeconds,
  }
  // A worker of our own holds the database in this very process.
  if (worker !== null)
    return withProjects(context, (projects) => readReport((page) => readBuildPage(projects, page), input))
  return readReport(remotePages(client, taskQueue, REPORT_TIMEOUT_MS), input)
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
  context.output.answer(`Started '${workflowId}'. ${howToGoOn(context)}`, { workflowId })
  return EXIT.done
}

/** A build outlives its command; a worker of the command's own does not. */
function leftBehind({ worker }: TemporalSession, context: CommandContext, { workflowId }: WorkflowHandle): string {
  const state =
    worker === null ? 'goes on' : 'waits for a worker: the next `build`, or a `worker.ts`, goes on where it was'
  return `The build '${workflowId}' ${state}.\n${howToGoOn(context)}`
}

function howToGoOn(context: CommandContext): string {
  return `Follow it: ${followUp(context, 'watch')}\nStop it:   ${followUp(context, 'cancel')}`
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
