/** Temporal's runtime in our own commands: where log lines go, and who may read metrics. */
import { DefaultLogger, Runtime } from '@temporalio/worker'
import { createWriteStream, mkdirSync } from 'node:fs'
import { lookup } from 'node:dns/promises'
import { join } from 'node:path'
import { MillraceError } from '../errors.ts'
import { formatLogLine, type LogFormat } from './log-lines.ts'

export interface RuntimeSettings {
  root: string
  verbose: boolean
  /** Lines on standard error; null: in the project's `.millrace/logs/worker.log`, as text. */
  logFormat?: LogFormat | null
  /** Where Prometheus finds the metrics: `HOST:PORT`. */
  metrics?: string | null
}

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
/** Builds and steps take longer than what Temporal has buckets for. */
const LONG_MS = [100, 500, SECOND, 5 * SECOND, 15 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 12 * HOUR]

/**
 * Once per process, before any worker or connection, and only where a worker follows: its end is what ends the runtime, which else
 * keeps the process alive. The caller handles signals.
 * @throws MillraceError USAGE when nobody can listen at `metrics`
 */
export async function installRuntime({
  root,
  verbose,
  logFormat = null,
  metrics = null,
}: RuntimeSettings): Promise<void> {
  const write = logFormat === null ? logFile(root) : (line: string) => void process.stderr.write(line)
  const logger = new DefaultLogger(verbose ? 'DEBUG' : 'INFO', ({ level, timestampNanos, message, meta = {} }) => {
    const time = new Date(Number(timestampNanos / 1_000_000n))
    write(formatLogLine({ time, level, message, fields: meta }, logFormat ?? 'text'))
  })
  const bindAddress = metrics === null ? null : await toSocketAddress(metrics)
  const histogramBucketOverrides = { millrace_build_duration: LONG_MS, millrace_step_duration: LONG_MS }
  const exporter = bindAddress === null ? {} : { metrics: { prometheus: { bindAddress, histogramBucketOverrides } } }
  try {
    Runtime.install({
      logger,
      shutdownSignals: [],
      telemetryOptions: { logging: { forward: {}, filter: { core: 'WARN', other: 'ERROR' } }, ...exporter },
    })
  } catch (error) {
    if (metrics === null || !(error instanceof Error) || !/metrics exporter|socket address/.test(error.message))
      throw error
    throw new MillraceError('USAGE', `--metrics: expected an address to listen at; got '${metrics}': ${error.message}`)
  }
}

function logFile(root: string): (line: string) => void {
  const folder = join(root, '.millrace', 'logs')
  mkdirSync(folder, { recursive: true })
  const stream = createWriteStream(join(folder, 'worker.log'), { flags: 'a' })
  return (line) => void stream.write(line)
}

/** `HOST:PORT`, or `:PORT` for all interfaces → with the host's number, as Temporal wants it. */
async function toSocketAddress(text: string): Promise<string> {
  const [, host = '', port = ''] = /^(.*):(\d{1,5})$/.exec(text) ?? []
  if (port === '') throw new MillraceError('USAGE', `--metrics: expected HOST:PORT; got '${text}'`)
  if (host === '') return `0.0.0.0:${port}`
  try {
    const { address, family } = await lookup(host.replace(/^\[(.*)\]$/, '$1'))
    return family === 6 ? `[${address}]:${port}` : `${address}:${port}`
  } catch {
    throw new MillraceError('USAGE', `--metrics: expected HOST:PORT; the host of '${text}' is not known here`)
  }
}
