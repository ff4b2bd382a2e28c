/** What a running build tells: the query `progress`, and the current details that the Web UI shows. Pure but for the query's definition. */
import { defineQuery } from '@temporalio/workflow'
import type { BuildProgress } from '../payloads.ts'

export const progressQuery = defineQuery<BuildProgress>('progress')

const MAX_RUNNING = 10
const MAX_FAILED = 20
const MAX_LINE = 240
/** The page asks for the text in an address, which proxies cut at 8 KB. */
const MAX_BYTES = 4000

/** Markdown without tables, under 4 KB: what is done, what runs, what failed and why. */
export function toDetails(progress: BuildProgress): string {
  const { counts, stepsDone, stepsTotal, running, problems, status } = progress
  const percent = stepsTotal === 0 ? 100 : Math.floor((100 * stepsDone) / stepsTotal)
  const failed = problems.filter((problem) => problem.status === 'error')
  const lines = [
    `**${headline(progress)}**: ${stepsDone} of ${stepsTotal} steps done (${percent} %)`,
    '',
    `- succeeded ${counts.success + counts.warn}, unchanged ${counts.unchanged}, failed ${counts.error}, skipped ${counts.skipped}`,
    ...(counts.warn > 0 ? [`- with warnings: ${counts.warn}`] : []),
  ]
  if (status === 'running' && running.length > 0) {
    lines.push('', `**Running now** (${running.length})`, '')
    lines.push(
      ...running.slice(0, MAX_RUNNING).map(({ name, startedAt }) => `- ${code(name)} since ${clockTime(startedAt)}`),
    )
    if (running.length > MAX_RUNNING) lines.push(`- and ${running.length - MAX_RUNNING} more`)
  }
  if (failed.length > 0) {
    lines.push('', `**Failed** (${counts.error})`, '')
    const shown = failed.slice(0, MAX_FAILED)
    lines.push(...shown.map(({ name, error }) => `- ${code(name)}: ${code(firstLine(error?.message ?? ''))}`))
  }
  return withinBytes(lines, MAX_BYTES)
}

function headline({ status, promoted }: BuildProgress): string {
  switch (status) {
    case 'running':
      return 'Building'
    case 'succeeded':
      return promoted ? 'Built and promoted' : 'Built'
    case 'failed':
      return 'Failed, nothing promoted'
    case 'canceled':
      return 'Cancelled'
  }
}

/** A database's words are not Markdown: stars, underscores and quotes stay as they are. */
function code(text: string): string {
  return text.includes('`') ? `\`\` ${text} \`\`` : `\`${text}\``
}

function clockTime(iso: string): string {
  return `${iso.slice(11, 19)} UTC`
}

function firstLine(text: string): string {
  const [line = ''] = text.split('\n')
  return line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}…` : line
}

/** Whole lines only: half a line may open what it does not close. */
function withinBytes(lines: readonly string[], limit: number): string {
  const bytes = (text: string): number => new TextEncoder().encode(text).length
  let left = limit
  const kept = lines.findIndex((line) => (left -= bytes(line) + 1) < 0)
  return (kept === -1 ? lines : lines.slice(0, kept)).join('\n')
}
