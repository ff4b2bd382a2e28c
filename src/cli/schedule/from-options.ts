/** A command line → settings of a schedule. */
import { MillraceError, nearest } from '../../errors.ts'
import { parseDuration } from '../../project/duration.ts'
import { toBuildInput } from '../build-input.ts'
import type { CommandContext } from '../command.ts'
import type { CliOptions } from '../options.ts'
import {
  DEFAULT_CATCH_UP_MS,
  isScheduleName,
  MIN_CATCH_UP_MS,
  OVERLAPS,
  type OverlapName,
  type ScheduleSettings,
  type When,
} from './definition.ts'

/** @throws MillraceError USAGE */
export function settingsFromOptions(context: CommandContext, name: string | null): ScheduleSettings {
  const { options } = context
  if (name !== null) assertName(name)
  const when = whenOf(options)
  if (when === 'auto' && options.timeZone !== null) {
    throw new MillraceError('USAGE', `--auto: expected no --time-zone; got '${options.timeZone}'`, {
      hint: "the models' own cron_tz decides",
    })
  }
  // What is named on a command line is of one project: the worker knows it by its queue.
  const { project: _, ...input } = toBuildInput(context, '', null)
  return {
    name,
    when,
    timeZone: options.timeZone,
    jitterMs: durationOf('--jitter', options.jitter, 0) ?? 0,
    overlap: parseOverlap(options.overlap) ?? 'skip',
    catchUpMs: durationOf('--catch-up', options.catchUp, MIN_CATCH_UP_MS) ?? DEFAULT_CATCH_UP_MS,
    pauseOnFailure: options.pauseOnFailure,
    note: options.note,
    paused: options.paused ? true : null,
    taskQueue: options.taskQueue,
    input: { ...input, onConflict: options.onConflict ?? 'queue' },
  }
}

/** @throws MillraceError USAGE */
function assertName(name: string): void {
  if (isScheduleName(name)) return
  throw new MillraceError('USAGE', `expected a schedule's name of letters, digits, '-', '_' and '.'; got '${name}'`)
}

/** @throws MillraceError USAGE */
export function parseOverlap(text: string | null): OverlapName | null {
  if (text === null) return null
  if (Object.hasOwn(OVERLAPS, text)) return text as OverlapName
  const known = Object.keys(OVERLAPS)
  const meant = nearest(text, known)
  throw new MillraceError('USAGE', `--overlap: expected ${known.join(', ')}; got '${text}'`, {
    hint: meant === null ? 'skip is the default' : `Did you mean '${meant}'?`,
  })
}

function whenOf({ cron, every, offset, auto }: CliOptions): When {
  const given = [
    ...(cron.length > 0 ? ['--cron'] : []),
    ...(every === null ? [] : ['--every']),
    ...(auto ? ['--auto'] : []),
  ]
  if (given.length !== 1) {
    const got = given.length === 0 ? 'none' : given.join(' and ')
    throw new MillraceError('USAGE', `expected one of --cron EXPR, --every DURATION or --auto; got ${got}`, {
      hint: '--cron may come several times; --auto wakes when a model is due by its own cron',
    })
  }
  if (offset !== null && every === null) throw new MillraceError('USAGE', '--offset: expected --every beside it')
  if (auto) return 'auto'
  if (every === null) return { crons: cron }
  const everyMs = durationOf('--every', every, 1000) ?? 0
  const offsetMs = durationOf('--offset', offset, 0) ?? 0
  if (offsetMs >= everyMs) {
    throw new MillraceError('USAGE', `--offset: expected less than --every ${every}; got '${offset}'`)
  }
  return { everyMs, offsetMs }
}

function durationOf(option: string, text: string | null, leastMs: number): number | null {
  if (text === null) return null
  const ms = parseDuration(text)
  if (ms !== null && ms >= leastMs) return ms
  const least = leastMs === 0 ? '' : ` of at least ${leastMs / 1000} s`
  throw new MillraceError(
    'USAGE',
    `${option}: expected a duration${least} such as '90s', '5m' or '1h30m'; got '${text}'`,
  )
}
