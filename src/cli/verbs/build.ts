/** `build`: makes the environment match the project, follows it, prints the report. */
import { WorkflowExecutionAlreadyStartedError, type WorkflowHandle } from '@temporalio/client'
import { MillraceError } from '../../errors.ts'
import type { BuildReport } from '../../payloads.ts'
import { createSqlParser } from '../../project/sql-parser.ts'
import { loadProject } from '../../project/load.ts'
import { projectHash } from '../../project/project-hash.ts'
import { toBuildInput } from '../build-input.ts'
import type { CommandContext, Verb } from '../command.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { followUp } from '../follow-up.ts'
import { follow } from '../follow.ts'
import { onInterrupt } from '../interrupt.ts'
import { endWithLaunchers } from '../lifetime.ts'
import { isAlive, ownIdentity, type ProcessIdentity } from '../process-identity.ts'
import { readReport, remotePages } from '../read-report.ts'
import { isCanceled, failedSummary, toMillraceError } from '../remote-error.ts'
import { reportText } from '../report-text.ts'
import { openTemporal, type TemporalSession } from '../temporal-session.ts'
import { workflowUrl } from '../workflow-url.ts'

/** Time a report's page may take: the worker may wait for its turn at the database. */
const REPORT_TIMEOUT_MS = 120_000

export const buildVerb: Verb = {
  async run(context) {
    const { options } = context
    endWithLaunchers()
    // Before anything is started: what is wrong with the folder is said at once.
    const hash = await loadFirst(context)
    const session = await openTemporal(context, { worker: true, mayStart: true })
    try {
      if (options.detach && session.server.embedded !== null) throw cannotDetach()
      const handle = await startBuild(session, context, session.worker === null ? hash : null)
      const url = workflowUrl(session.server, handle)
      if (url !== null) context.output.say(`Web UI: ${url}`)
      if (options.detach) return detached(context, handle)
      const code = await followBuild(session, context, handle)
      if (options.keep && code !== EXIT.interrupted) await keep(session, context)
      return code
    } finally {
      await session.close()
    }
  },
}

async function loadFirst({ root, options, env }: CommandContext): Promise<string> {
  const parser = createSqlParser()
  try {
    const gateway = options.gateway === null ? {} : { gateway: options.gateway }
    return projectHash(await loadProject(root, { ...gateway, vars: options.vars, env, parser }))
  } finally {
    await parser.close()
  }
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

async function followBuild(
  session: TemporalSession,
  context: CommandContext,
  handle: WorkflowHandle,
): Promise<ExitCode> {
  const { output } = context
  const embedded = session.server.embedded !== null
  const following = follow(handle, output)
  const interrupt = onInterrupt(() => {
    if (!embedded) return
    output.say('Cancelling: running queries are interrupted and rolled back (Ctrl-C again leaves at once)')
    void handle.cancel().catch(() => {})
  })
  try {
    const ended = handle.result().then(
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
      output.say(`The build '${handle.workflowId}' goes on. ${howToGoOn(context)}`)
      return EXIT.interrupted
    }
    return await printOutcome(session, context, {
      handle,
      error: outcome?.error ?? null,
      interrupted: interrupt.count > 0,
    })
  } finally {
    await following.stop()
    interrupt.remove()
  }
}

interface Outcome {
  handle: WorkflowHandle
  error: unknown
  interrupted: boolean
}

async function printOutcome(
  session: TemporalSession,
  context: CommandContext,
  { handle, error, interrupted }: Outcome,
): Promise<ExitCode> {
  const canceled = isCanceled(error)
  if (error !== null && !canceled && failedSummary(error) === null) throw mismatch(toMillraceError(error))
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
  { client, taskQueue, project }: TemporalSession,
  { options }: CommandContext,
  handle: WorkflowHandle,
): Promise<BuildReport | null> {
  const { runId } = await handle.describe()
  return readReport(remotePages(client, taskQueue, REPORT_TIMEOUT_MS), {
    project,
    ...(options.gateway === null ? {} : { gateway: options.gateway }),
    environment: options.environment,
    workflowId: handle.workflowId,
    runId,
    lockTimeoutSeconds: options.lockTimeoutSeconds,
  })
}

/** The worker's per-model hashes come as the hint of a mismatch; a person needs the names. */
function mismatch(error: unknown): unknown {
  if (!(error instanceof MillraceError) || error.code !== 'PROJECT_MISMATCH') return error
  return new MillraceError('PROJECT_MISMATCH', error.message, {
    hint: 'deploy the same folder to the worker, or build from there',
  })
}

async function workerFailure({ worker }: TemporalSession): Promise<never> {
  if (worker !== null) await worker.ended
  return new Promise<never>(() => {})
}

function cannotDetach(): MillraceError {
  return new MillraceError(
    'USAGE',
    '--detach needs a Temporal server that outlives the command; the only one is the embedded server this command started',
    {
      hint: 'name a server with --address, or keep one running: `build --keep` or `worker.ts` in another terminal',
    },
  )
}

function detached(context: CommandContext, handle: WorkflowHandle): ExitCode {
  const { workflowId } = handle
  context.output.answer(`Started '${workflowId}'. ${howToGoOn(context)}`, { workflowId })
  return EXIT.done
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
