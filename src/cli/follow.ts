/** Follows a running build: polls its query `progress` and shows what is new. */
import type { WorkflowHandle } from '@temporalio/client'
import { defaultPayloadConverter } from '@temporalio/common'
import type { BuildProgress } from '../payloads.ts'
import { LiveView } from './live-view.ts'
import type { Output } from './output.ts'

const LIVE_POLL_MS = 200
const LINE_POLL_MS = 1_000
/** A build that says nothing new for this long may wait for something. */
const QUIET_MS = 2_000

export interface Following {
  /** Shows the last state and gives the terminal back. */
  stop(): Promise<void>
}

/** A terminal gets a live view, a pipe a line when something changed; both hear what a build waits for. */
export function follow(handle: WorkflowHandle, output: Output): Following {
  const view = output.live ? new LiveView(process.stderr) : null
  output.view = view
  const ended = new AbortController()
  let lastLine = ''
  const show = (progress: BuildProgress): void => {
    for (const notice of progress.notices) output.notice(notice)
    if (view !== null) return view.draw(progress)
    const line = progressLine(progress)
    if (line !== lastLine) output.say(line)
    lastLine = line
  }
  const everyMs = view === null ? LINE_POLL_MS : LIVE_POLL_MS
  const wait = (line: string): void => output.notice(line)
  const polling = poll(handle, { show, wait, signal: ended.signal, everyMs })
  return {
    async stop() {
      ended.abort()
      await polling
      view?.erase()
      output.view = null
    },
  }
}

interface Polling {
  show: (progress: BuildProgress) => void
  wait: (line: string) => void
  signal: AbortSignal
  everyMs: number
}

async function poll(handle: WorkflowHandle, { show, wait, signal, everyMs }: Polling): Promise<void> {
  let revision = -1
  let newsMs = performance.now()
  for (;;) {
    await pause(everyMs, signal)
    const progress = signal.aborted ? null : await ask(handle, signal)
    if (signal.aborted) return
    const isNews = progress !== null && progress.revision !== revision
    if (isNews || performance.now() - newsMs > QUIET_MS) {
      newsMs = performance.now()
      if (!isNews) for (const line of await readWaits(handle).catch(() => [])) wait(line)
    }
    if (progress === null || (!isNews && progress.running.length === 0 && progress.stepsTotal > 0)) continue
    revision = progress.revision
    show(progress)
  }
}

/** A query needs a live worker; one that is down for a moment is no reason to stop following. */
async function ask(handle: WorkflowHandle, signal: AbortSignal): Promise<BuildProgress | null> {
  // The client never takes its listener away again: each question gets a signal of its own.
  const one = new AbortController()
  const abort = (): void => one.abort()
  signal.addEventListener('abort', abort)
  try {
    return await handle.client.withAbortSignal(one.signal, () => handle.query<BuildProgress>('progress'))
  } catch {
    return null
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** What the activities that run now say of a file that another process holds. */
async function readWaits(handle: WorkflowHandle): Promise<string[]> {
  const { raw } = await handle.describe()
  const phases = (raw.pendingActivities ?? []).flatMap(({ heartbeatDetails }) => {
    const [payload] = heartbeatDetails?.payloads ?? []
    return payload == null ? [] : [defaultPayloadConverter.fromPayload<{ phase?: string }>(payload).phase ?? '']
  })
  // Behind the semicolon is the time that is left, which changes.
  return phases.flatMap((phase) => (phase.includes(' is held by ') ? [`waiting: ${phase.split(';')[0]}`] : []))
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}

const MAX_NAMES = 4

function progressLine({ stepsDone, stepsTotal, running, counts, environment, waitingFor }: BuildProgress): string {
  if (waitingFor !== null) return `Waiting for '${waitingFor.workflowId}' to end`
  if (stepsTotal === 0) return `Planning ${environment}`
  const names = running.slice(0, MAX_NAMES).map(({ name }) => name)
  const more = running.length > MAX_NAMES ? ` and ${running.length - MAX_NAMES} more` : ''
  const failed = counts.error > 0 ? `, ${counts.error} failed, ${counts.skipped} skipped` : ''
  return `${stepsDone}/${stepsTotal} steps${failed}${names.length === 0 ? '' : `; running ${names.join(', ')}${more}`}`
}
