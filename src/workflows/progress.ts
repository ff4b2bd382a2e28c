/** What a running build tells: the query `progress`, and the current details that the Web UI shows. Pure but for the query's definition. */
import { defineQuery } from '@temporalio/workflow'
import type { BuildProgress, RunningModel } from '../payloads.ts'
import { code, firstLine, fitting, link, withinBytes } from './markdown.ts'

export const progressQuery = defineQuery<BuildProgress>('progress')

const MAX_RUNNING = 10
const MAX_FAILED = 20
/** The page asks for the text in an address, which proxies cut at 8 KB. */
const MAX_BYTES = 4000
/** A paragraph with nothing to see: the page's frame is one line too low, and hides the last one. */
const SPACER = '\n\n\u00A0'
/** What lists may take of it; what to do and the links always have room. */
const FAILED_BYTES = 1900
const RUNNING_BYTES = 700

export interface DetailsOptions {
  /** The server knows the builds' search attributes: the project's builds can be listed. */
  searchable?: boolean
}

/**
 * Markdown without tables, under 4 KB: how far it is, what failed and why, what to do, what runs and what the rest waits for.
 * `{namespace}` is the Web UI's own: it puts the page's there.
 */
export function toDetails(progress: BuildProgress, { searchable = false }: DetailsOptions = {}): string {
  const text = withinBytes(
    [
      `${headline(progress)}${subject(progress)}${extent(progress)}`,
      ...counts(progress),
      ...failures(progress),
      ...whatToDo(progress),
      ...runningNow(progress),
      ...slowest(progress),
      ...links(progress, searchable),
    ],
    MAX_BYTES,
  )
  return `${text}${SPACER}`
}

function headline({ status, promoted, paused, waitingFor, window, stepsTotal }: BuildProgress): string {
  switch (status) {
    case 'running':
      if (waitingFor !== null) return '**Waiting for another build**'
      if (paused) return '**Paused**'
      // A later run reads the plan first, and knows of it all the same.
      return window === 0 && stepsTotal === 0 ? '**Planning**' : '**Building**'
    case 'succeeded':
      if (promoted) return '**Built and promoted**'
      return stepsTotal === 0 ? '**Nothing was due**' : '**Built**'
    case 'failed':
      return '**Failed, nothing promoted**'
    case 'canceled':
      return '**Cancelled**'
  }
}

/** A first run has it in its summary; what continues it has none. */
function subject({ runs, project, environment }: BuildProgress): string {
  return runs > 1 ? ` ${code(`${project} · ${environment}`)}` : ''
}

function extent({ status, stepsDone, stepsTotal, durationMs }: BuildProgress): string {
  if (stepsTotal === 0) return ''
  const percent = Math.floor((100 * stepsDone) / stepsTotal)
  const steps = `: ${stepsDone} of ${stepsTotal} steps done (${percent} %)`
  return status === 'running' || durationMs === null ? steps : `${steps} in ${duration(durationMs)}`
}

/** In one line, which leaves out what there is none of. */
function counts({ counts, waitingFor }: BuildProgress): string[] {
  const { success, warn, unchanged, error, skipped, canceled } = counts
  const said = [
    [success + warn, warn > 0 ? `succeeded (${warn} with warnings)` : 'succeeded'],
    [unchanged, 'unchanged'],
    [error, 'failed'],
    [skipped, 'skipped'],
    [canceled, 'cancelled'],
  ] as const
  const shown = said.flatMap(([number, what]) => (number === 0 ? [] : [`${number} ${what}`]))
  return waitingFor !== null || shown.length === 0 ? [] : ['', `Models: ${shown.join(', ')}`]
}

function failures({ problems, counts }: BuildProgress): string[] {
  const failed = problems.filter(({ status }) => status === 'error')
  const lines = failed
    .slice(0, MAX_FAILED)
    .map(({ name, error }) => `${code(name)}: ${code(firstLine(error?.message ?? ''))}`)
  const shown = fitting(lines, FAILED_BYTES)
  const more = Math.max(counts.error, failed.length) - shown.length
  return labelled(counts.error > 1 ? `Failed (${counts.error})` : 'Failed', [
    ...shown,
    ...(more > 0 ? [`and ${more} more`] : []),
  ])
}

function whatToDo(progress: BuildProgress): string[] {
  const { status, paused, waitingFor, counts, workflowId } = progress
  const advice: string[] = []
  const failed = progress.problems.find((problem) => problem.status === 'error')?.name
  if (status === 'running') {
    if (waitingFor !== null) {
      const { workflowId, runId } = waitingFor
      const page = `/namespaces/{namespace}/workflows/${part(workflowId)}/${part(runId)}`
      advice.push(`nothing; it goes on when ${link(workflowId, page)} has ended`)
    }
    if (paused) advice.push(`nothing more is started until somebody sends the update ${code('resume')}`)
    if (failed !== undefined) {
      const name = code(JSON.stringify(failed))
      advice.push(
        `once its data are repaired, the update ${code('retryModel')} with ${name} builds it again; an edited model counts from the next build`,
      )
    }
  } else if (status === 'failed' || (status === 'canceled' && counts.success + counts.pending + counts.canceled > 0)) {
    const what = status === 'failed' ? 'repair, then ' : ''
    advice.push(`${what}${code(`client.ts retry ${workflowId}`)}: what was built is kept, the rest is built`)
  }
  return labelled('What to do', advice)
}

/** In the order they started: what the rest waits for is most probably the first one. */
function runningNow({ status, running, counts, window, paused }: BuildProgress): string[] {
  const [oldest] = running
  if (status !== 'running' || oldest === undefined) return []
  const waiting = paused ? 0 : Math.max(0, counts.pending - running.length)
  const models = running.slice(0, MAX_RUNNING).map((model) => since(model))
  if (waiting > 0) models[0] += ' (bottleneck)'
  const shown = fitting(models, RUNNING_BYTES)
  const more = running.length - shown.length
  const full = running.length < window ? '' : `; all ${window} places are taken (update ${code('setParallel')})`
  const title = `Running${running.length > 1 ? ` (${running.length})` : ''}${waiting > 0 ? `, ${waiting} to come${full}` : ''}`
  return labelled(title, [...shown, ...(more > 0 ? [`and ${more} more`] : [])])
}

function slowest({ status, slowest }: BuildProgress): string[] {
  if (status === 'running' || slowest.length === 0) return []
  return labelled('Slowest', [
    slowest.map(({ name, durationMs }) => `${code(name)} ${duration(durationMs)}`).join(', '),
  ])
}

/** One in a line, several in a list: the page shows a dozen lines at once. */
function labelled(title: string, items: readonly string[]): string[] {
  if (items.length < 2) return items.flatMap((item) => ['', `**${title}**: ${item}`])
  return ['', `**${title}**`, '', ...items.map((item) => `- ${item}`)]
}

function links({ project, schedule, runs, workflowId }: BuildProgress, searchable: boolean): string[] {
  const lists = '/namespaces/{namespace}/workflows?query='
  const found = [
    ...(searchable ? [link(`builds of ${project}`, `${lists}${part(`MillraceProject="${project}"`)}`)] : []),
    ...(schedule === null ? [] : [link(`schedule ${schedule}`, `/namespaces/{namespace}/schedules/${part(schedule)}`)]),
    ...(runs > 1 ? [link(`run ${runs} of this build`, `${lists}${part(`WorkflowId="${workflowId}"`)}`)] : []),
  ]
  return found.length === 0 ? [] : ['', found.join(' · ')]
}

/** Within an address, and within the parentheses of a link. */
function part(text: string): string {
  return encodeURIComponent(text).replaceAll(/[()'!*]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`)
}

function since({ name, startedAt }: RunningModel): string {
  return `${code(name)} since ${startedAt.slice(11, 19)} UTC`
}

function duration(ms: number): string {
  if (ms < 1_000) return `${ms} ms`
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
