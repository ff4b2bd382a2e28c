/** Settings of a schedule → what the server is to keep of it. */
import { createCron } from '../../graph/cron.ts'
import { toCalendars } from '../../graph/cron-calendars.ts'
import { MillraceError, nearest } from '../../errors.ts'
import type { Project } from '../../project/project.ts'
import { formatDuration } from '../../project/duration.ts'
import { dueCrons } from './auto.ts'
import { idPrefix, type CommentedCalendar, type ScheduleDefinition, type ScheduleSettings } from './definition.ts'

/**
 * @param project as loaded with the settings' own gateway and variables.
 * @throws MillraceError USAGE for a cron or a time zone that is none, SELECTION where no model is ever due.
 */
export function defineSchedule(settings: ScheduleSettings, project: Project): ScheduleDefinition {
  const { when, timeZone, input } = settings
  const environment = input.environment ?? 'prod'
  const name = settings.name ?? environment
  if (timeZone !== null) assertZone(timeZone)
  if (settings.pauseOnFailure && settings.overlap === 'allow-all') {
    throw new MillraceError('USAGE', "pausing on failure: expected another overlap than 'allow-all'", {
      hint: 'the server does not watch builds that may overlap; buffer-all runs each of them too, one after the other',
    })
  }
  const auto = when === 'auto' ? dueCrons(project, input) : null
  const crons = auto?.crons ?? (when !== 'auto' && 'crons' in when ? when.crons : [])
  const intervals = when !== 'auto' && 'everyMs' in when ? [when] : []
  const zone = auto?.timeZone ?? timeZone ?? 'UTC'
  const rhythm = intervals.length > 0 ? intervals.map(everyText).join(', ') : [...new Set(crons)].join(', ')
  return {
    id: `${idPrefix(project.name)}${name}`,
    calendars: commented(crons),
    intervals,
    auto: auto !== null,
    timeZone: zone,
    jitterMs: settings.jitterMs,
    overlap: settings.overlap,
    catchUpMs: settings.catchUpMs,
    pauseOnFailure: settings.pauseOnFailure,
    note: settings.note,
    paused: settings.paused,
    workflowType: 'buildProject',
    // Two schedules of one environment may be due at one moment: their builds need ids of their own.
    workflowId: `millrace/${project.name}/${environment}${name === environment ? '' : `/${name}`}`,
    taskQueue: settings.taskQueue ?? `millrace-${project.name}`,
    input: { ...input, project: project.name, environment },
    summary: `${project.name} · ${environment}${input.select === undefined ? '' : ` · ${input.select}`}`,
    details: `Started by the schedule \`${name}\` of project \`${project.name}\`: ${auto === null ? rhythm : `when a model is due (${rhythm})`}${zone === 'UTC' ? ', UTC' : `, ${zone}`}`,
  }
}

/** `every 30m, 5m after the hour's start` is more than people need: the offset counts from 1970. */
export function everyText({ everyMs, offsetMs }: { everyMs: number; offsetMs: number }): string {
  return `every ${formatDuration(everyMs)}${offsetMs === 0 ? '' : `, offset ${formatDuration(offsetMs)}`}`
}

/** Two spellings of one cron give one calendar. */
function commented(crons: readonly string[]): CommentedCalendar[] {
  const byContent = new Map<string, CommentedCalendar>()
  for (const cron of crons) {
    for (const calendar of calendarsOf(cron)) {
      const content = JSON.stringify(calendar)
      if (!byContent.has(content)) byContent.set(content, { ...calendar, seconds: [0], comment: cron })
    }
  }
  return [...byContent.values()]
}

function calendarsOf(cron: string) {
  try {
    // A day that no month has is found only by looking for a tick.
    createCron(cron, null).next(0)
    return toCalendars(cron)
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    throw new MillraceError('USAGE', error.message, { hint: hintFor(cron) ?? error.hint ?? '', cause: error })
  }
}

/** What other crons can say, in words of ours. */
function hintFor(cron: string): string | null {
  const every = /^@every\s+(\S+)/i.exec(cron.trim())?.[1]
  if (every !== undefined) return `write --every ${every}`
  if (/^(?:CRON_)?TZ=/.test(cron.trim())) return 'name the zone with --time-zone'
  const fields = cron.trim().split(/\s+/).length
  if (fields === 6 || fields === 7) return 'leave out seconds and years; --every 30s fires more often than each minute'
  return null
}

function assertZone(timeZone: string): void {
  try {
    Intl.DateTimeFormat('en', { timeZone })
  } catch (cause) {
    const meant = nearest(timeZone, Intl.supportedValuesOf('timeZone'))
    throw new MillraceError('USAGE', `expected an IANA time zone such as 'Europe/Berlin'; got '${timeZone}'`, {
      hint: meant === null ? 'leave it out for UTC' : `Did you mean '${meant}'?`,
      cause,
    })
  }
}
