/** Where the worker's and the SDK's log lines go: `.millrace/logs/worker.log`, not the terminal. */
import { createWriteStream, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DefaultLogger, Runtime } from '@temporalio/worker'

/** Once per process, before any worker or connection. The caller handles signals. */
export function logToFile(root: string, verbose: boolean): void {
  const folder = join(root, '.millrace', 'logs')
  mkdirSync(folder, { recursive: true })
  const stream = createWriteStream(join(folder, 'worker.log'), { flags: 'a' })
  const logger = new DefaultLogger(verbose ? 'DEBUG' : 'INFO', ({ level, timestampNanos, message, meta }) => {
    const time = new Date(Number(timestampNanos / 1_000_000n)).toISOString()
    stream.write(`${time} ${level} ${message}${meta === undefined ? '' : ` ${toJson(meta)}`}\n`)
  })
  Runtime.install({
    logger,
    shutdownSignals: [],
    telemetryOptions: { logging: { forward: {}, filter: { core: 'WARN', other: 'ERROR' } } },
  })
}

function toJson(meta: object): string {
  return JSON.stringify(meta, (_, value: unknown) => {
    if (value instanceof Error) return { name: value.name, message: value.message, stack: value.stack }
    return typeof value === 'bigint' ? String(value) : value
  })
}
