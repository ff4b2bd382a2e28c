/** Starts a build under an id that people know, and decides what happens when one of that id runs already. */
import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError, type WorkflowHandle } from '@temporalio/client'
import { firstRunOf } from '../activities/queue/live-builds.ts'
import { MillraceError } from '../errors.ts'
import type { BuildInput } from '../payloads.ts'
import { buildDetails } from './build-details.ts'
import type { CommandContext } from './command.ts'
import { isAlive, ownIdentity, type ProcessIdentity } from './process-identity.ts'
import { buildHandle } from './running-build.ts'
import type { TemporalSession } from './temporal-session.ts'

/** Characters; Temporal takes 400 bytes. */
const MAX_SUMMARY = 200

export interface BuildStart {
  workflowId: string
  input: BuildInput
  /** One line in the list of workflows; default: what is built. */
  summary?: string
  /** Of its page; default: what was asked for, by whom, and how to follow it. */
  details?: string
}

/**
 * Builds of other ids are the workflow's own business: it gets `--on-conflict` with its input.
 * @returns the build that was started, one that is joined, or one whose command is gone and which goes on.
 * @throws MillraceError BUILD_RUNNING
 */
export async function startBuild(
  session: TemporalSession,
  context: CommandContext,
  build: BuildStart,
): Promise<WorkflowHandle> {
  const { options, output } = context
  const waits = options.onConflict === 'queue' || options.onConflict === 'preempt'
  // What was asked of a build that runs already is something else than to restate these models.
  const mayGoOn = !waits && build.input.restate === undefined
  const left = session.server.embedded !== null && mayGoOn ? await findLeftBeside(session, build.workflowId) : null
  if (left !== null) {
    output.say(`Going on with the unfinished build '${left.workflowId}'`)
    return left
  }
  const started = await tryToStart(session, build)
  if (started !== null) return started
  const running = await findRunning(session, build.workflowId)
  // It has ended meanwhile.
  if (running === null) return startBuild(session, context, build)
  const { handle, runId, isLeft } = running
  // Who waits for whom, and who is ended, is decided where builds of all ids are known.
  if (waits) return startBeside(session, build)
  if (!mayGoOn) throw buildRunning(build, runId)
  if (options.onConflict !== 'join' && !isLeft) throw buildRunning(build, runId)
  output.say(`${isLeft ? 'Going on with the unfinished' : 'Joining the running'} build '${build.workflowId}'`)
  return handle
}

/** @returns null when no build of this id runs. */
export async function findUnfinished(session: TemporalSession, workflowId: string): Promise<WorkflowHandle | null> {
  try {
    return (await findRunning(session, workflowId))?.handle ?? null
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null
    throw error
  }
}

/** Null where a build of this id runs. */
export async function tryToStart(
  { client, taskQueue, worker }: TemporalSession,
  { workflowId, input, summary, details }: BuildStart,
): Promise<WorkflowHandle | null> {
  try {
    return await client.workflow.start('buildProject', {
      taskQueue,
      workflowId,
      args: [input],
      staticSummary: summary ?? toSummary(input),
      staticDetails: details ?? buildDetails(input, workflowId),
      // Only a build whose worker lives in its command can be left behind by that command.
      memo: worker === null ? {} : { millraceOwner: ownIdentity() },
    })
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return null
    throw error
  }
}

function toSummary({ project = '', environment = 'prod', select, restate, retryOf }: BuildInput): string {
  const restated = restate === undefined ? undefined : `restate ${restate.join(' ')}`
  const said = [project, environment, select, restated, retryOf === undefined ? undefined : 'retry']
  return said
    .filter((part) => part !== undefined)
    .join(' · ')
    .slice(0, MAX_SUMMARY)
}

interface RunningBuild {
  handle: WorkflowHandle
  runId: string
  /** The command that served it is gone. */
  isLeft: boolean
}

async function findRunning({ client }: TemporalSession, workflowId: string): Promise<RunningBuild | null> {
  const description = await client.workflow.getHandle(workflowId).describe()
  if (description.status.name !== 'RUNNING') return null
  const runId = firstRunOf(description)
  return { handle: buildHandle(client, { workflowId, runId }), runId, isLeft: isLeft(description) }
}

/** The command that served it is gone. */
function isLeft({ memo }: { memo?: Record<string, unknown> }): boolean {
  const owner = memo?.['millraceOwner'] as ProcessIdentity | undefined
  return owner !== undefined && !isAlive(owner)
}

/**
 * A build that waited in vain on a server that ended, in the data that a server of this command has taken over: it has, or will
 * have, the environment before any other, and nobody else serves it.
 */
async function findLeftBeside({ client }: TemporalSession, workflowId: string): Promise<WorkflowHandle | null> {
  const running = client.workflow.list({ query: `WorkflowType = 'buildProject' AND ExecutionStatus = 'Running'` })
  for await (const execution of running) {
    const id = execution.workflowId
    if (id.startsWith(`${workflowId}/`) && isLeft(execution)) return client.workflow.getHandle(id)
  }
  return null
}

/** Under an id of its own, which says when it was asked for. */
async function startBeside(session: TemporalSession, build: BuildStart): Promise<WorkflowHandle> {
  const asked = new Date().toISOString().replace(/\.\d+Z$/, 'Z')
  for (let nth = 1; ; nth++) {
    const workflowId = `${build.workflowId}/${asked}${nth === 1 ? '' : `-${nth}`}`
    const started = await tryToStart(session, { ...build, workflowId })
    if (started !== null) return started
  }
}

function buildRunning({ workflowId, input }: BuildStart, runId: string): MillraceError {
  return new MillraceError(
    'BUILD_RUNNING',
    `environment '${input.environment ?? 'prod'}' of project '${input.project ?? ''}' is being built by '${workflowId}' (run ${runId})`,
    {
      hint: 'wait for it with --on-conflict queue (or join, preempt), follow it with `watch`, or stop it with `cancel`',
    },
  )
}
