/** The interval that a model's query is looked at for: `--start`, `--end`, `--execution-time`. */
import { MillraceError } from '../errors.ts'
import { parseTime, toIso } from '../graph/time.ts'
import type { CliOptions } from './options.ts'

export interface Times {
  /** Half-open, epoch ms. */
  interval: readonly [number, number]
  executionMs: number
}

const DAY_MS = 86_400_000

/** The last whole day before the execution time; a start or an end that is given brings its own day. @throws MillraceError USAGE */
export function parseTimes({ start, end, executionTime }: CliOptions, nowMs: number): Times {
  const executionMs = executionTime === null ? nowMs : parseTime(executionTime, 'start', nowMs)
  const today = Math.floor(executionMs / DAY_MS) * DAY_MS
  const from = start === null ? null : parseTime(start, 'start', executionMs)
  const to = end === null ? today : parseTime(end, 'end', executionMs)
  const interval = [from ?? to - DAY_MS, to] as const
  if (interval[0] < interval[1]) return { interval, executionMs }
  throw new MillraceError(
    'USAGE',
    `expected --start before --end; got ${toIso(interval[0])} and ${toIso(interval[1])}`,
    {
      hint: end === null ? 'Without --end, the interval ends with the day before --execution-time.' : 'Swap them.',
    },
  )
}
