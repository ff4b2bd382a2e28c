/** What a running build tells: the query `progress`, and the current details that the Web UI shows. Pure but for the query's definition. */
import { defineQuery } from '@temporalio/workflow'
import type { BuildProgress } from '../payloads.ts'

export const progressQuery = defineQuery<BuildProgress>('progress')

const MAX_RUNNING = 10
const MAX_FAILED = 20
const MAX_LINE = 160

/** Markdown without tables, under 4 KB: what is done, what runs, what failed and why. */
export function toDetails(progress: BuildProgress): string {
  const { counts, stepsDone, stepsTotal, running, problems, status } = progress
  const percent = stepsTotal === 0 ? 100 : Math.floor((100 * stepsDone) / stepsTotal)
  const failed = problems.filter((problem) => problem.status === 'error')
  const lines = [
    `**${headline(progress)}**: ${stepsDone} of ${stepsTotal} steps done (${percent} %)`,
    '',
    `- built ${counts.success + counts.warn}, unchanged ${counts.unchanged}, failed ${counts.error}, skipped ${counts.skipped}`,
    ...(counts.warn > 0 ? [`- with warnings: ${counts.warn}`] : []),
  ]
  if (status === 'running' && running.length > 0) {
    lines.push('', `**Running now** (${running.length})`, '')
    lines.push(...running.slice(0, MAX_RUNNING).map(({ name }) => `- \`${name}\``))
    if (running.length > MAX_RUNNING) lines.push(`- and ${running.length - MAX_RUNNING} more`)
  }
  if (failed.length > 0) {
    lines.push('', `**Failed** (${counts.error})`, '')
    lines.push(
      ...failed.slice(0, MAX_FAILED).map(({ name, error }) => `- \`${name}\`: ${firstLine(error?.message ?? '')}`),
    )
  }
  return lines.join('\n').slice(0, 4000)
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

function firstLine(text: string): string {
  const [line = ''] = text.split('\n')
  return line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}…` : line
}
