/** The live view of a build on a terminal: a bar, counts, the running models with their elapsed time. */
import type { WriteStream } from 'node:tty'
import { stripVTControlCharacters } from 'node:util'
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
      stripVTControlCharacters(line).length > width ? line.slice(0, width) : line,
    )
    this.#stream.write(`${this.#erase()}${lines.join('\n')}\n`)
    this.#lines = lines.length
  }

  /** Takes the view away: the report that follows says it all. */
  end(): void {
    this.#stream.write(this.#erase())
    this.#lines = 0
  }

  #erase(): string {
    return this.#lines === 0 ? '' : `\u001B[${this.#lines}A\u001B[0J`
  }
}

/** @param now epoch ms */
export function viewLines({ stepsDone, stepsTotal, counts, running, startedAt }: BuildProgress, now: number): string[] {
  const share = stepsTotal === 0 ? 0 : stepsDone / stepsTotal
  const filled = Math.round(share * BAR_WIDTH)
  const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`
  const failed = counts.error > 0 ? `  failed ${counts.error}  skipped ${counts.skipped}` : ''
  const warned = counts.warn > 0 ? `  warnings ${counts.warn}` : ''
  const width = Math.max(0, ...running.slice(0, MAX_RUNNING).map(({ name }) => name.length))
  return [
    `${bar} ${stepsDone}/${stepsTotal} steps  ${seconds(now - Date.parse(startedAt))}${warned}${failed}`,
    ...running
      .slice(0, MAX_RUNNING)
      .map(({ name, startedAt }) => `  ${name.padEnd(width)}  ${seconds(now - Date.parse(startedAt))}`),
    ...(running.length > MAX_RUNNING ? [`  and ${running.length - MAX_RUNNING} more`] : []),
  ]
}
