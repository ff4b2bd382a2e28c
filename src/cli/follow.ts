/** Follows a running build: polls its query `progress` and shows what is new. */
import type { WorkflowHandle } from '@temporalio/client'
import type { BuildProgress } from '../payloads.ts'
import { LiveView } from './live-view.ts'
import type { Output } from './output.ts'

const LIVE_POLL_MS = 200
const LINE_POLL_MS = 1_000

export interface Following {
  /** Shows the last state and gives the terminal back. */
  stop(): Promise<void>
}

/** A terminal gets a live view, a pipe a line when something changed. */
export function follow(handle: WorkflowHandle, output: Output): Following {
  const view = output.live ? new LiveView(process.stderr) : null
  const ended = new AbortController()
  let lastLine = ''
  const show = (progress: BuildProgress): void => {
    for (const notice of progress.notices) output.notice(notice)
    if (view !== null) view.draw(progress)
    else {
      const line = progressLine(progress)
      if (line !== lastLine) output.say(line)
      lastLine = line
    }
  }
  const polling = poll(handle, { show, signal: ended.signal, everyMs: view === null ? LINE_POLL_MS : LIVE_POLL_MS })
  return {
    async stop() {
      ended.abort()
      await polling
      view?.end()
    },
  }
}

interface Polling {
  show: (progress: BuildProgress) => void
  signal: AbortSignal
  everyMs: number
}

async function poll(handle: WorkflowHandle, { show, signal, everyMs }: Polling): Promise<void> {
  let revision = -1
  while (!signal.aborted) {
    await pause(everyMs, signal)
    if (signal.aborted) return
    // A query needs a live worker; one that is down for a moment is no reason to stop following.
    const progress = await handle.query<BuildProgress>('progress').catch(() => null)
    if (progress === null || (progress.revision === revision && progress.running.length === 0)) continue
    revision = progress.revision
    show(progress)
  }
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

function progressLine({ stepsDone, stepsTotal, running, counts }: BuildProgress): string {
  const names = running.slice(0, MAX_NAMES).map(({ name }) => name)
  const more = running.length > MAX_NAMES ? ` and ${running.length - MAX_NAMES} more` : ''
  const failed = counts.error > 0 ? `, ${counts.error} failed, ${counts.skipped} skipped` : ''
  return `${stepsDone}/${stepsTotal} steps${failed}${names.length === 0 ? '' : `; running ${names.join(', ')}${more}`}`
}
