/** The lines of a worker's log: for people, or as JSON, one document on each line. */

export type LogFormat = 'text' | 'json'

export interface LogLine {
  time: Date
  level: string
  message: string
  /** Temporal's fields and ours: project, environment, model, build, attempt. */
  fields: object
}

/** Ends with a line break. */
export function formatLogLine({ time, level, message, fields }: LogLine, format: LogFormat): string {
  const iso = time.toISOString()
  if (format === 'json') return `${toJson({ time: iso, level, message, ...fields })}\n`
  return `${iso} ${level} ${message}${Object.keys(fields).length === 0 ? '' : ` ${toJson(fields)}`}\n`
}

function toJson(value: object): string {
  return JSON.stringify(value, (_, inner: unknown) => {
    if (inner instanceof Error) return { name: inner.name, message: inner.message, stack: inner.stack }
    return typeof inner === 'bigint' ? String(inner) : inner
  })
}
