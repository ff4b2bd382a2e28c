/** `schedule backfill`: one build over a range, asked for as the schedule asks for its builds. */
import type { WorkflowHandle } from '@temporalio/client'
import { assertPlannable } from '../../activities/plan/plan-scope.ts'
import { MillraceError } from '../../errors.ts'
import { parseTime, toIso } from '../../graph/time.ts'
import type { BuildInput } from '../../payloads.ts'
import { modelHashes, toProjectHash } from '../../project/project-hash.ts'
import type { CommandContext } from '../command.ts'
import type { ExitCode } from '../exit-codes.ts'
import { endWithLaunchers } from '../lifetime.ts'
import { loadForVerb } from '../load-for-verb.ts'
import { followStarted } from '../run-build.ts'
import { tryToStart, type BuildStart } from '../start-build.ts'
import { openTemporal, type TemporalSession } from '../temporal-session.ts'
import { nameOf } from './definition.ts'
import { findSchedule } from './find-schedule.ts'
import { fromTemporal } from './temporal-form.ts'

export async function backfillSchedule(context: CommandContext, name: string): Promise<ExitCode> {
  const { options } = context
  // Before a server is looked for.
  const range = rangeOf(context)
  endWithLaunchers()
  const session = await openTemporal(context, { worker: !options.detach, needsWorker: true, mayStart: false })
  try {
    const { description } = await findSchedule(session, name)
    const { id, input: scheduled, summary } = fromTemporal(description)
    const input = inputOf(context, scheduled)
    // The report is read, and the folder loaded, as the schedule's builds do it.
    const { gateway = null, select = null, exclude = null, vars = {}, environment = 'prod' } = input
    const asScheduled = { ...context, options: { ...options, gateway, select, exclude, vars, environment } }
    const hashes = await loadFirst(asScheduled, { ...input, environment })
    const handle = await startBackfill(session, {
      workflowId: `millrace/${session.project}/${environment}/backfill/${range}`,
      input: session.worker === null ? { ...input, projectHash: toProjectHash(hashes) } : input,
      summary: `${summary} · ${range}`,
      details: `Backfill of the schedule \`${nameOf(id, session.project)}\``,
    })
    return await followStarted(session, asScheduled, { handle, hashes })
  } finally {
    await session.close()
  }
}

/** The schedule's own, and what the command line says besides. */
function inputOf({ options }: CommandContext, scheduled: BuildInput): BuildInput {
  const { start, end, maxParallel, select, exclude, onConflict } = options
  const given = Object.entries({ start, end, maxParallel, select, exclude, onConflict })
  return { ...scheduled, ...Object.fromEntries(given.filter(([, value]) => value !== null)) }
}

/** @returns a hash of each model of the folder. @throws what the build would be refused for. */
async function loadFirst(
  context: CommandContext,
  input: BuildInput & { environment: string },
): Promise<Record<string, string>> {
  await using loaded = await loadForVerb(context)
  assertPlannable(loaded.project, { ...input, executionMs: Date.now() })
  return modelHashes(loaded.project)
}

async function startBackfill(session: TemporalSession, backfill: BuildStart): Promise<WorkflowHandle> {
  const { workflowId } = backfill
  const started = await tryToStart(session, backfill)
  if (started !== null) return started
  throw new MillraceError('BUILD_RUNNING', `this backfill runs already: '${workflowId}'`, {
    hint: `follow it with \`watch ${workflowId}\``,
  })
}

const DAY_MS = 86_400_000

/** The range as its build's id has it. @throws MillraceError USAGE */
function rangeOf({ options: { start, end } }: CommandContext): string {
  if (start === null)
    throw new MillraceError('USAGE', 'schedule backfill: expected --start T, and --end T unless it goes on to now')
  const nowMs = Date.now()
  const fromMs = parseTime(start, 'start', nowMs)
  const toMs = end === null ? nowMs : parseTime(end, 'end', nowMs)
  if (fromMs >= toMs)
    throw new MillraceError(
      'USAGE',
      `schedule backfill: expected a range; ${toIso(fromMs)} is not before ${toIso(toMs)}`,
    )
  if (end === null) return `${short(fromMs)}..now`
  // Whole days as people say them: by the first and the last.
  const last = toMs % DAY_MS === 0 && fromMs % DAY_MS === 0 ? toMs - DAY_MS : toMs
  return last === fromMs ? short(fromMs) : `${short(fromMs)}..${short(last)}`
}

/** Midnight is written as a date. */
function short(ms: number): string {
  return toIso(ms)
    .replace(/T00:00:00\.000Z$/, '')
    .replace('.000Z', 'Z')
}
