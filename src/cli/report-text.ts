/** Documents of commands as text for people. Pure. */
import type { BuildCounts, BuildReport, ModelReport, PlanReport } from '../payloads.ts'

/** One line per model that did something or failed to, then the tally. */
export function reportText(report: BuildReport): string {
  const shown = report.models.filter(({ status }) => status !== 'unchanged')
  const width = Math.max(0, ...shown.map(({ name }) => name.length))
  const lines = shown.flatMap((model) => modelLines(model, width))
  return [...lines, ...(lines.length > 0 ? [''] : []), tally(report)].join('\n')
}

/** `Built 12 models in 3.4 s: 12 success, 0 unchanged …` */
export function tally({ status, promoted, counts, durationMs, environment }: BuildReport): string {
  const took = durationMs === null ? '' : ` in ${seconds(durationMs)}`
  const summary = countsText(counts)
  switch (status) {
    case 'running':
      return `Building ${environment}: ${summary}`
    case 'succeeded': {
      const built = counts.success + counts.warn
      if (built === 0)
        return `Nothing to do: ${counts.unchanged} models of ${environment} are up to date (${took.trim() || 'done'})`
      return `Built ${environment}${took}${promoted ? ' and promoted it' : ''}: ${summary}`
    }
    case 'failed':
      return `Build of ${environment} failed${took}; no view was moved: ${summary}`
    case 'canceled':
      return `Build of ${environment} was cancelled${took}; no view was moved: ${summary}`
  }
}

export function countsText(counts: BuildCounts): string {
  const parts = Object.entries(counts).filter(([status, count]) => count > 0 || status === 'success')
  return parts.map(([status, count]) => `${count} ${status}`).join(', ')
}

export function planText(plan: PlanReport): string {
  const lines: string[] = []
  const section = (title: string, entries: readonly string[]): void => {
    if (entries.length > 0) lines.push(title, ...entries.map((entry) => `  ${entry}`), '')
  }
  const width = Math.max(0, ...plan.changes.map(({ model }) => model.length))
  section(
    'Changes',
    plan.changes.map(
      ({ model, category, reason }) => `${model.padEnd(width)}  ${category.replaceAll('_', ' ')}: ${reason}`,
    ),
  )
  section(
    'To build',
    plan.backfills.map(({ model, intervals, batches }) => {
      const ranges = intervals.map(([from, to]) => `${short(from)} – ${short(to)}`).join(', ')
      return `${model}${ranges === '' ? '' : `  ${ranges}`}${batches > 1 ? `  in ${batches} steps` : ''}`
    }),
  )
  section('Stale: they keep reading an older version of a changed parent', plan.stale)
  if (lines.length === 0) return `Nothing to do: ${plan.unchanged.length} models of ${plan.environment} are up to date`
  lines.push(`${plan.unchanged.length} unchanged`)
  return lines.join('\n')
}

export function seconds(ms: number): string {
  return ms < 60_000
    ? `${(ms / 1000).toFixed(1)} s`
    : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`
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

function modelLines(model: ModelReport, width: number): string[] {
  const { name, kind, status, rows, rowsFiltered, durationMs, reason, audits, error } = model
  const facts = [
    kind.toLowerCase(),
    ...(rows === null ? [] : [`${rows.toLocaleString('en-US')} rows`]),
    ...(rowsFiltered === 0 ? [] : [`${rowsFiltered.toLocaleString('en-US')} outside the interval left out`]),
    ...(durationMs === null ? [] : [seconds(durationMs)]),
    ...(status === 'skipped' && reason !== null ? [reason] : []),
  ]
  const warnings = audits
    .filter(({ status }) => status === 'warn')
    .map(({ name, failures }) => `${' '.repeat(7)}audit ${name} warns: ${failures.toLocaleString('en-US')} rows`)
  const failure =
    error === null
      ? []
      : [`${' '.repeat(7)}error[${error.code}]: ${error.message.replaceAll('\n', `\n${' '.repeat(9)}`)}`]
  return [`${MARKS[status].padEnd(5)}  ${name.padEnd(width)}  ${facts.join(', ')}`, ...warnings, ...failure]
}

/** A midnight is written as a date. */
function short(iso: string): string {
  return iso.replace(/T00:00:00(\.000)?Z$/, '')
}
