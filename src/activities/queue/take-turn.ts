/**
 * Whose turn it is to build an environment. One build has it at a time; a second one waits in a queue, waits for the first one's
 * result, gives up, or ends the first. It is decided in the state, since builds may have workflow ids of any kind.
 */
import { Context } from '@temporalio/activity'
import type { Client } from '@temporalio/client'
import type { Lease } from '../../connections/lease.ts'
import { MillraceError } from '../../errors.ts'
import type { BuildId, OnConflict } from '../../payloads.ts'
import { enterQueue, leaveQueue, readQueue, type QueueEntry } from '../../state/build-queue.ts'
import { readBuildInput } from '../../state/build-inputs.ts'
import { readRunningBuild } from '../../state/builds.ts'
import { ensureState, readStateVersion } from '../../state/schema.ts'
import { cancelBuild, findLive, type LiveBuild } from './live-builds.ts'

export interface TurnRequest {
  project: string
  environment: string
  build: BuildId
  onConflict: OnConflict
}

export interface Turn {
  /** Whose end comes before; null: it may build. */
  waitsFor: BuildId | null
  /** A build that has the environment by the state's word alone. */
  gone: BuildId | null
}

/** @throws MillraceError BUILD_RUNNING when another build has the environment, or is next to have it, and this one will not wait. */
export async function takeTurn(lease: Lease, request: TurnRequest): Promise<Turn> {
  if ((await readStateVersion(lease)) === 0) return { waitsFor: null, gone: null }
  await ensureState(lease)
  const recorded = await readRunningBuild(lease, request.project, request.environment)
  // An attempt of this very build has taken it before.
  if (recorded?.runId === request.build.runId) return { waitsFor: null, gone: null }
  const holder = recorded === null ? null : await findLive(Context.current().client, recorded)
  const queue = await readQueue(lease, request)
  // Where nobody is to be asked for, no server is asked.
  if (holder === null && queue.length === 0) return { waitsFor: null, gone: recorded }
  const waitsFor = await decide({ ...request, lease, client: Context.current().client, holder, queue })
  return { waitsFor, gone: holder === null ? recorded : null }
}

interface Deciding extends TurnRequest {
  lease: Lease
  client: Client
  holder: LiveBuild | null
  queue: readonly QueueEntry[]
}

async function decide(deciding: Deciding): Promise<BuildId | null> {
  switch (deciding.onConflict) {
    case 'reject':
      return refuse(deciding)
    case 'join':
      return deciding.holder ?? (await nextOf(deciding, others(deciding)))
    case 'queue':
      return waitBehind(deciding)
    case 'preempt':
      return preempt(deciding)
  }
}

/** Whoever waits was there before: the environment is not free between two of them. */
async function refuse(deciding: Deciding): Promise<null> {
  const { holder, project, environment } = deciding
  const next = holder === null ? await nextOf(deciding, deciding.queue) : null
  const other = holder ?? next
  if (other === null) return null
  const is = holder === null ? 'is waited for' : 'is being built'
  throw new MillraceError(
    'BUILD_RUNNING',
    `environment '${environment}' of project '${project}' ${is} by '${other.workflowId}' (run ${other.runId})`,
    {
      hint: `wait for it with \`--on-conflict queue\` (or join, preempt), follow it with \`watch ${other.workflowId}\`, or stop it with \`cancel ${other.workflowId}\``,
    },
  )
}

async function waitBehind(deciding: Deciding): Promise<BuildId | null> {
  const { queue, build, holder, lease } = deciding
  const own = queue.findIndex(({ runId }) => runId === build.runId)
  const ahead = own === -1 ? queue : queue.slice(0, own)
  const other = (await nextOf(deciding, [...ahead].reverse())) ?? holder
  if (other !== null && own === -1) await lease.script(enterQueue(deciding, build, 'back'))
  return other
}

/** It ends whoever has the environment, and those that were to end that one before it. */
async function preempt(deciding: Deciding): Promise<BuildId | null> {
  const { queue, build, holder, lease, client } = deciding
  const own = queue.findIndex(({ runId }) => runId === build.runId)
  const ahead = own === -1 ? [] : queue.slice(0, own)
  const behind = own === -1 ? queue : queue.slice(own + 1)
  if (own === -1) {
    if (holder === null && (await nextOf(deciding, queue)) === null) return null
    await lease.script(enterQueue(deciding, build, 'front'))
  }
  const ended = holder === null || (await cameLater(deciding, holder)) ? [] : [holder]
  for (const other of [...ended, ...behind.filter(({ position }) => position < 0)]) await cancelBuild(client, other)
  return (await nextOf(deciding, [...ahead].reverse())) ?? holder
}

/** One that preempts, too, and was started later: it has asked this one to end, which may not have heard of it yet. */
async function cameLater({ lease, client, build }: Deciding, holder: LiveBuild): Promise<boolean> {
  const asked = await readBuildInput(lease, holder.runId)
  if (asked?.onConflict !== 'preempt') return false
  const own = await findLive(client, build)
  return own === null || holder.startedMs > own.startedMs
}

/** The first that lives; those before it are dropped. */
async function nextOf({ lease, client }: Deciding, entries: readonly QueueEntry[]): Promise<BuildId | null> {
  const dead: BuildId[] = []
  let next: BuildId | null = null
  for (const entry of entries) {
    next = await findLive(client, entry)
    if (next !== null) break
    dead.push(entry)
  }
  if (dead.length > 0) await lease.script(leaveQueue(dead))
  return next
}

function others({ queue, build }: Deciding): QueueEntry[] {
  return queue.filter(({ runId }) => runId !== build.runId)
}
