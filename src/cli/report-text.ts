/** Documents of commands as text for people. Pure. */
import type { BuildCounts, BuildReport, ChangeCategory, ModelReport, PlanReport } from '../payloads.ts'
import { alignColumns } from './text-table.ts'

/** One line per model that did something or failed to, then the tally. */
export function reportText(report: BuildReport): string {
  const shown = report.models.filter(({ status }) => status !== 'unchanged')
  const rows = alignColumns(shown.map(modelCells))
  const lines = shown.flatMap((model, index) => [rows[index] ?? '', ...remarks(model)])
  return [...lines, ...(lines.length > 0 ? [''] : []), tally(report)].join('\n')
}

/** `Built prod in 3.4 s and promoted it: 12 built, 3 unchanged` */
export function tally({ status, promoted, counts, durationMs, environment }: BuildReport): string {
  const took = durationMs === null ? '' : ` in ${seconds(durationMs)}`
  const summary = countsText(counts)
  switch (status) {
    case 'running':
      return `Building ${environment}: ${summary}`
    case 'succeeded': {
      const built = counts.success + counts.warn
      if (built === 0 && !promoted) return upToDate(counts.unchanged, environment)
      return `Built ${environment}${took}${promoted ? ' and promoted it' : ''}: ${summary}`
    }
    case 'failed':
      return `Build of ${environment} failed${took}; no view was moved: ${summary}`
    case 'canceled':
      return `Build of ${environment} was cancelled${took}; no view was moved: ${summary}`
  }
}

export function countsText(counts: BuildCounts): string {
  const parts = WORDS.filter(([status]) => counts[status] > 0 || status === 'success')
  return parts.map(([status, word]) => `${counts[status]} ${word}`).join(', ')
}

const WORDS: readonly (readonly [keyof BuildCounts, string])[] = [
  ['success', 'built'],
  ['warn', 'built with warnings'],
  ['error', 'failed'],
  ['skipped', 'skipped'],
  ['canceled', 'cancelled'],
  ['pending', 'to go'],
  ['unchanged', 'unchanged'],
]

function upToDate(models: number, environment: string): string {
  const are = models === 1 ? '1 model of' : `${models} models of`
  return `Nothing to do: ${are} ${environment} ${models === 1 ? 'is' : 'are'} up to date`
}

export function planText(plan: PlanReport): string {
  const lines: string[] = []
  const section = (title: string, entries: readonly string[]): void => {
    if (entries.length > 0) lines.push(title, ...entries.map((entry) => `  ${entry}`), '')
  }
  section(
    'Changes',
    alignColumns(plan.changes.map(({ model, category, reason }) => [model, changeText(category, reason)])),
  )
  const changed = new Set(plan.changes.map(({ model }) => model))
  section(
    'To build',
    alignColumns(
      plan.backfills.map(({ model, intervals, batches, reason }) => {
        const ranges = intervals.map(([from, to]) => `${short(from)} – ${short(to)}`).join(', ')
        return [model, ranges, batches > 1 ? `in ${batches} steps` : '', changed.has(model) ? '' : reason]
      }),
    ),
  )
  section('Stale: they keep reading an older version of a changed parent', plan.stale)
  section('Notes', plan.notices)
  section(
    'Sources',
    (plan.sources ?? []).flatMap(({ message }) => message ?? []),
  )
  if (lines.length === 0) return upToDate(plan.unchanged.length, plan.environment)
  lines.push(`${plan.unchanged.length} unchanged`)
  return lines.join('\n')
}

export function seconds(ms: number): string {
  if (ms < 100) return `${Math.round(ms)} ms`
  // Before it is split: 119.7 s is 2 min 0 s, not 1 min 60 s.
  const whole = Math.round(ms / 1000)
  return whole < 60 ? `${(ms / 1000).toFixed(1)} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`
}

const MARKS: Record<ModelReport['status'], string> = {
  success: 'ok',
  unchanged: '=',
  warn: 'warn',
  error: 'FAIL',
  skipped: 'skip',
  canceled: 'stop',
  pending: '…',
  running: 'run',
}

function modelCells({
  name,
  kind,
  status,
  rows,
  rowsFiltered,
  rowsDuplicate,
  durationMs,
  reason,
}: ModelReport): string[] {
  const facts = [
    ...(rows === null ? [] : [counted(rows, 'row')]),
    ...(rowsFiltered === 0 ? [] : [`${counted(rowsFiltered, 'row')} outside the interval left out`]),
    ...(rowsDuplicate === 0 ? [] : [`${counted(rowsDuplicate, 'row')} with the key of another left out`]),
    ...(status === 'skipped' && reason !== null ? [reason] : []),
  ]
  const took = durationMs === null ? '' : seconds(durationMs)
  return [MARKS[status], name, kind.toLowerCase().replaceAll('_', ' '), took, facts.join(', ')]
}

/** What stands below a model's line. */
function remarks({ audits, warnings: told, error }: ModelReport): string[] {
  const warnings = audits
    .filter(({ status }) => status === 'warn')
    .map(({ name, args = {}, failures, message, table }) => {
      const given = Object.entries(args).map(([argument, value]) => `${argument} := ${value}`)
      const call = given.length === 0 ? name : `${name}(${given.join(', ')})`
      const found = message === undefined ? `warns of ${counted(failures, 'row')}` : `could not run: ${message}`
      return `${' '.repeat(7)}audit ${call} ${found}${table === undefined ? '' : `, kept in ${table}`}`
    })
  const failure =
    error === null
      ? []
      : [`${' '.repeat(7)}error[${error.code}]: ${error.message.replaceAll('\n', `\n${' '.repeat(9)}`)}`]
  return [...told.map((warning) => `${' '.repeat(7)}${warning}`), ...warnings, ...failure]
}

function changeText(category: ChangeCategory, reason: string): string {
  return category === 'added' || category === 'removed' ? reason : `${category.replaceAll('_', ' ')}: ${reason}`
}

function counted(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`
}

/** A midnight is written as a date. */
function short(iso: string): string {
  return iso.replace(/T00:00:00(\.000)?Z$/, '')
}
