/** The live view of a build on a terminal: a bar, counts, the running models with their elapsed time. */
import type { WriteStream } from 'node:tty'
import type { BuildProgress } from '../payloads.ts'
import { seconds } from './report-text.ts'

const BAR_WIDTH = 30
const MAX_RUNNING = 8

export class LiveView {
  readonly #stream: WriteStream
  #lines = 0

  constructor(stream: WriteStream) {
    this.#stream = stream
  }

  draw(progress: BuildProgress): void {
    const width = Math.max(20, (this.#stream.columns || 80) - 1)
    const lines = viewLines(progress, Date.now()).map((line) =>
      line.length > width ? `${line.slice(0, width - 1)}…` : line,
    )
    this.#stream.write(`${this.#eraser()}${lines.join('\n')}\n`)
    this.#lines = lines.length
  }

  /** Takes the view away, until it is drawn again. */
  erase(): void {
    this.#stream.write(this.#eraser())
    this.#lines = 0
  }

  /** From the line's start: a Ctrl-C has left `^C` there. */
  #eraser(): string {
    return this.#lines === 0 ? '' : `\r\u001B[${this.#lines}A\u001B[0J`
  }
}

/** @param now epoch ms */
export function viewLines(progress: BuildProgress, now: number): string[] {
  const { stepsDone, stepsTotal, counts, running, startedAt, environment, waitingFor } = progress
  const elapsed = (since: string): string => seconds(Math.max(0, now - Date.parse(since)))
  if (waitingFor !== null) return [`Waiting for '${waitingFor.workflowId}' to end  ${elapsed(startedAt)}`]
  if (stepsTotal === 0) return [`Planning ${environment}  ${elapsed(startedAt)}`]
  const filled = Math.floor((stepsDone / stepsTotal) * BAR_WIDTH)
  const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`
  const warned = counts.warn > 0 ? `  warned ${counts.warn}` : ''
  const failed = counts.error > 0 ? `  failed ${counts.error}  skipped ${counts.skipped}` : ''
  const finishing = running.length === 0 && counts.pending === 0 ? '  finishing' : ''
  const shown = running.slice(0, MAX_RUNNING)
  const width = Math.max(0, ...shown.map(({ name }) => name.length))
  return [
    `${bar} ${stepsDone}/${stepsTotal} steps  ${elapsed(startedAt)}${warned}${failed}${finishing}`,
    ...shown.map(({ name, startedAt }) => `  ${name.padEnd(width)}  ${elapsed(startedAt)}`),
    ...(running.length > MAX_RUNNING ? [`  and ${running.length - MAX_RUNNING} more`] : []),
  ]
}
