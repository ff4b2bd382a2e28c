/** `retryOf`: the latest build of a workflow once more, as it was asked for then. */
import { MillraceError } from '../../errors.ts'
import { parseTime } from '../../graph/time.ts'
import type { BuildPlan, PlanRequest } from '../../payloads.ts'
import { readLatestInput, type RecordedInput } from '../../state/build-inputs.ts'
import { ensureState, readStateVersion } from '../../state/schema.ts'
import type { Heartbeat } from '../heartbeat.ts'
import type { WorkerProjects } from '../worker-projects.ts'

export interface DecidedRequest extends PlanRequest {
  /** Tells one full refresh from another, or one restatement: that of the first build, so that what it built counts as built. */
  refreshId: string
}

/** What decides which steps there are: of a repeated build nobody may say it anew. */
const DECIDING = ['select', 'exclude', 'start', 'end', 'executionTime', 'fullRefresh', 'restate', 'vars'] as const

/** @throws MillraceError USAGE when there is no such build, or more is asked for than to repeat it. */
export async function decideRequest(
  projects: WorkerProjects,
  request: PlanRequest,
  heartbeat: Heartbeat,
): Promise<DecidedRequest> {
  if (request.retryOf === undefined) return { ...request, refreshId: request.build.runId }
  const extra = DECIDING.find((key) => request[key] !== undefined)
  if (extra !== undefined) {
    throw new MillraceError(
      'USAGE',
      `expected retryOf without '${extra}': it repeats a build as it was asked for; got ${JSON.stringify(request[extra])}`,
    )
  }
  const recorded = await readRecorded(projects, { ...request, retryOf: request.retryOf }, heartbeat)
  const { executionTime = '', refreshId = request.build.runId, ...asked } = recorded
  return {
    ...asked,
    ...request,
    ...(recorded.environment === undefined ? {} : { environment: recorded.environment }),
    executionMs: parseTime(executionTime, 'start', request.executionMs),
    refreshId,
  }
}

/** What the state keeps of a request: all that a repetition needs, with what was relative made absolute. */
export function toRecordedInput(request: DecidedRequest): RecordedInput {
  const { build, executionMs, refreshId, projectHash, retryOf, ...input } = request
  void [build, projectHash, retryOf]
  return {
    ...input,
    executionTime: new Date(executionMs).toISOString(),
    ...(input.fullRefresh === true || input.restate !== undefined ? { refreshId } : {}),
  }
}

/** What the workflow must know of it. */
export function toRepeated({ executionMs, maxParallel, failFast }: DecidedRequest): BuildPlan['repeats'] {
  return {
    executionMs,
    ...(maxParallel === undefined ? {} : { maxParallel }),
    ...(failFast === undefined ? {} : { failFast }),
  }
}

async function readRecorded(
  projects: WorkerProjects,
  request: PlanRequest & { retryOf: string },
  heartbeat: Heartbeat,
): Promise<RecordedInput> {
  const { retryOf } = request
  const { name, gateway } = await projects.defaultGateway(request.project)
  const worker = await projects.open(name, request.gateway ?? gateway)
  let found: { input: RecordedInput | null } | null = null
  // Opening would make the file.
  if (worker.databaseExists()) {
    heartbeat.say('waiting for the database')
    await using lease = await worker.lease({
      holder: 'plan',
      signal: heartbeat.signal,
      lockTimeoutMs: (request.lockTimeoutSeconds ?? 60) * 1000,
      onWaiting: (message) => heartbeat.say(message),
    })
    if ((await readStateVersion(lease)) > 0) {
      await ensureState(lease)
      found = await readLatestInput(lease, { project: name, workflowId: retryOf, except: request.build.runId })
    }
  }
  if (found === null) {
    throw new MillraceError(
      'USAGE',
      `expected the id of a workflow that has built project '${name}'; got '${retryOf}', of which its state knows no build`,
      { hint: 'a build that could not be planned leaves none: start it again with `build`' },
    )
  }
  if (found.input !== null) return withoutTurn(found.input)
  throw new MillraceError(
    'USAGE',
    `expected a build whose request is recorded; the latest one of '${retryOf}' is from before it was`,
    { hint: 'start it again with `build`: what was built is kept' },
  )
}

/** How it waits for its turn, and for the file, is not the first build's business. */
function withoutTurn(input: RecordedInput): RecordedInput {
  const { onConflict, lockTimeoutSeconds, ...asked } = input
  void [onConflict, lockTimeoutSeconds]
  return asked
}
