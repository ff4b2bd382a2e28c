/** Schedules as text for people. Pure. */
import { formatDuration } from '../../project/duration.ts'
import { alignColumns, textTable } from '../text-table.ts'
import type { Applied } from './apply.ts'
import { inputFacts } from './changes.ts'
import type { ScheduledRun, ScheduleReport } from './read-schedule.ts'

/** A line per schedule. */
export function listText(schedules: readonly ScheduleReport[]): string {
  if (schedules.length === 0) return 'No schedules. `schedule create` makes one.'
  return textTable(
    ['name', 'when', 'next', 'last', 'skipped', 'state'],
    schedules.map((schedule) => [
      schedule.name,
      `${schedule.when}${schedule.timeZone === 'UTC' ? '' : ` ${schedule.timeZone}`}`,
      schedule.paused ? '–' : clock(schedule.next[0]),
      lastText(schedule.recent[0]),
      skippedText(schedule) ?? '–',
      stateText(schedule),
    ]),
  )
}

/** Everything about one. */
export function describeText(schedule: ScheduleReport): string {
  const { recent, next } = schedule
  const facts: [string, string][] = [
    ['when', `${schedule.when} (${schedule.timeZone})`],
    ['state', stateText(schedule)],
    ['next', schedule.paused ? 'none while it is paused' : next.slice(0, SHOWN_TIMES).map(clock).join(', ') || 'never'],
    ['running', schedule.running.join(', ') || 'nothing'],
    ['skipped', skippedText(schedule) ?? 'none'],
    ['overlap', `${schedule.overlap}${schedule.buffered === 0 ? '' : `, ${schedule.buffered} waiting`}`],
    ['catch-up', formatDuration(schedule.catchUpMs)],
    ...(schedule.jitterMs === 0 ? [] : [['jitter', formatDuration(schedule.jitterMs)] as [string, string]]),
    ...(schedule.pauseOnFailure ? [['on failure', 'pauses'] as [string, string]] : []),
    ['task queue', schedule.taskQueue],
    ['workflow id', `${schedule.workflowId}-TIME`],
    [
      'build',
      inputFacts(schedule.input)
        .map(([what, text]) => `${what} ${text}`)
        .join(', '),
    ],
  ]
  const runs = alignColumns(recent.map((run) => [clock(run.dueAt), run.status, run.workflowId, run.error ?? '']))
  return [
    `${schedule.name} (${schedule.id})`,
    ...alignColumns(facts).map((line) => `  ${line}`),
    '',
    recent.length === 0
      ? 'No runs yet'
      : `The last ${recent.length === 1 ? 'run' : `${recent.length} runs`} of ${schedule.started}`,
    ...runs.map((line) => `  ${line}`),
  ].join('\n')
}

/** What was done, or would be. */
export function appliedText(applied: readonly Applied[], names: (id: string) => string, dryRun: boolean): string {
  return applied
    .flatMap(({ id, action, changes }) => [
      `${names(id)}: ${actionText(action, dryRun)}`,
      ...alignColumns(changes.map(({ what, from, to }) => [`  ${what}`, `${from} → ${to}`])),
    ])
    .join('\n')
}

const SHOWN_TIMES = 5

function actionText(action: Applied['action'], dryRun: boolean): string {
  switch (action) {
    case 'created':
    case 'updated':
    case 'deleted':
      return dryRun ? `would be ${action}` : action
    case 'unchanged':
      return 'unchanged'
    case 'not in the file':
      return 'not in the file; --prune deletes it'
  }
}

function stateText({ paused, note, running }: ScheduleReport): string {
  const state = paused ? 'paused' : running.length > 0 ? 'running' : 'waiting'
  return note === null ? state : `${state}: ${note}`
}

function skippedText({ skipped }: ScheduleReport): string | null {
  const parts = [
    [skipped.overlap, 'as another ran'],
    [skipped.missedCatchUp, 'too late to catch up'],
    [skipped.bufferFull, 'as too many waited'],
  ] as const
  const some = parts.filter(([count]) => count > 0)
  return some.length === 0 ? null : some.map(([count, why]) => `${count} ${why}`).join(', ')
}

function lastText(run: ScheduledRun | undefined): string {
  return run === undefined ? '–' : `${clock(run.dueAt)} ${run.status}`
}

/** `2026-11-23 16:30:00Z` */
function clock(iso: string | undefined): string {
  return iso === undefined ? '–' : iso.replace('T', ' ').replace(/\.\d+Z$/, 'Z')
}
