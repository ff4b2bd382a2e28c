/** A schedule of ours ↔ Temporal's own form of it. */
import {
  DAYS_OF_WEEK,
  MONTHS,
  type CalendarSpec,
  type Range,
  type ScheduleDescription,
  type ScheduleOptions,
} from '@temporalio/client'
import type { BuildInput } from '../../payloads.ts'
import { toRanges } from './calendar-text.ts'
import { OVERLAPS, type CommentedCalendar, type OverlapName, type ScheduleDefinition } from './definition.ts'

/** A member of what a schedule starts says that the models' crons are behind it. */
const AUTO_MEMO = 'millraceAuto'

type SpecAndAction = Pick<ScheduleOptions, 'spec' | 'action' | 'policies'>

/** What a new schedule and a changed one have in common. */
export function toTemporal(definition: ScheduleDefinition): SpecAndAction {
  const { calendars, intervals, timeZone, jitterMs, overlap, catchUpMs, pauseOnFailure } = definition
  return {
    spec: {
      calendars: calendars.map(toCalendarSpec),
      intervals: intervals.map(({ everyMs, offsetMs }) => ({ every: everyMs, offset: offsetMs })),
      timezone: timeZone,
      jitter: jitterMs,
    },
    action: {
      type: 'startWorkflow',
      workflowType: definition.workflowType,
      workflowId: definition.workflowId,
      taskQueue: definition.taskQueue,
      args: [definition.input],
      staticSummary: definition.summary,
      staticDetails: definition.details,
      memo: definition.auto ? { [AUTO_MEMO]: true } : {},
    },
    policies: { overlap: OVERLAPS[overlap], catchupWindow: catchUpMs, pauseOnFailure },
  }
}

/** Of schedules made elsewhere too: what we have no word for is left out. */
export function fromTemporal({
  scheduleId,
  spec,
  action,
  policies,
  state,
  raw,
}: ScheduleDescription): ScheduleDefinition {
  return {
    id: scheduleId,
    calendars: (raw.schedule?.spec?.structuredCalendar ?? []).map(fromCalendar),
    intervals: (spec.intervals ?? []).map(({ every, offset }) => ({ everyMs: every, offsetMs: offset })),
    auto: action.memo?.[AUTO_MEMO] === true,
    timeZone: spec.timezone === undefined || spec.timezone === '' ? 'UTC' : spec.timezone,
    jitterMs: spec.jitter ?? 0,
    overlap: overlapName(policies.overlap),
    catchUpMs: policies.catchupWindow,
    pauseOnFailure: policies.pauseOnFailure,
    note: state.note ?? '',
    paused: state.paused,
    workflowType: action.workflowType,
    workflowId: action.workflowId ?? '',
    taskQueue: action.taskQueue,
    input: toInput(action.args?.[0]),
    summary: action.staticSummary ?? '',
    details: action.staticDetails ?? '',
  }
}

function toInput(value: unknown): BuildInput {
  return typeof value === 'object' && value !== null ? value : {}
}

function overlapName(policy: ScheduleDescription['policies']['overlap']): OverlapName {
  const names = Object.keys(OVERLAPS) as OverlapName[]
  return names.find((name) => OVERLAPS[name] === policy) ?? 'skip'
}

function toCalendarSpec(calendar: CommentedCalendar): CalendarSpec {
  const { seconds, minutes, hours, daysOfMonth, months, daysOfWeek, years, comment } = calendar
  return {
    second: toRanges(seconds),
    minute: toRanges(minutes),
    hour: toRanges(hours),
    dayOfMonth: toRanges(daysOfMonth),
    month: toRanges(months).map((range) => named(range, (month) => MONTHS[month - 1] ?? 'JANUARY')),
    dayOfWeek: toRanges(daysOfWeek).map((range) => named(range, (day) => DAYS_OF_WEEK[day] ?? 'SUNDAY')),
    year: years.length === 0 ? '*' : toRanges(years),
    comment,
  }
}

function named<T>({ start, end, step }: Range<number>, name: (value: number) => T): Range<T> {
  return { start: name(start), end: name(end), step }
}

type RawSpec = NonNullable<NonNullable<ScheduleDescription['raw']['schedule']>['spec']>
type RawCalendar = NonNullable<RawSpec['structuredCalendar']>[number]

function fromCalendar(calendar: RawCalendar): CommentedCalendar {
  return {
    seconds: fromRanges(calendar.second),
    minutes: fromRanges(calendar.minute),
    hours: fromRanges(calendar.hour),
    daysOfMonth: fromRanges(calendar.dayOfMonth),
    months: fromRanges(calendar.month),
    daysOfWeek: fromRanges(calendar.dayOfWeek),
    years: fromRanges(calendar.year),
    comment: calendar.comment ?? '',
  }
}

/** In the server's own form an end before the start means the start, and no step means one. */
function fromRanges(ranges: RawCalendar['second']): number[] {
  const values = (ranges ?? []).flatMap(({ start, end, step }) => {
    const from = start ?? 0
    const by = Math.max(1, step ?? 1)
    return Array.from(
      { length: Math.floor((Math.max(from, end ?? 0) - from) / by) + 1 },
      (_, index) => from + index * by,
    )
  })
  return [...new Set(values)].sort((a, b) => a - b)
}
