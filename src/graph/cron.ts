/**
 * When a model is due: cron expressions, their ticks, and the interval unit they imply. Pure: ticks are computed
 * from the instant that is asked about, never from a clock.
 */
import { CronExpressionParser } from 'cron-parser'
import type { CronExpression, CronFieldCollection } from 'cron-parser'
import { MillraceError, nearest } from '../errors.ts'
import { INTERVAL_UNITS } from '../project/model.ts'
import type { IntervalUnit } from '../project/model.ts'
import { UNIT_MS } from './time.ts'

export interface Cron {
  /** The latest tick at or before an instant. */
  previous(ms: number): number
  /** The first tick after an instant. */
  next(ms: number): number
}

/**
 * The ticks of a cron expression: five fields (minute, hour, day of month, month, day of week) or one of `@hourly`,
 * `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly`, `@annually`. When both days are given a tick matches
 * either. Ranges may wrap around (`22-2`). `timezone` is an IANA name, UTC when null; instants stay in UTC.
 * Calls with the same arguments return the same object, which remembers the gap it answered from last.
 *
 * @throws MillraceError `MODEL` for a bad expression or an unknown time zone
 */
export function createCron(expression: string, timezone: string | null): Cron {
  return remember(crons, `${timezone ?? 'UTC'} ${expression}`, () => {
    const zone = timezone ?? 'UTC'
    assertTimezone(zone)
    return createTicks(parseCron(expression, zone), expression)
  })
}

/**
 * The largest unit that is no longer than the shortest time between two ticks in UTC: a weekly cron → day, one that
 * ticks every six hours → hour, every twenty minutes → quarter_hour.
 *
 * @throws MillraceError `MODEL` for a bad expression or one that ticks more often than every five minutes
 */
export function inferIntervalUnit(expression: string): IntervalUnit {
  return remember(units, expression, () => {
    const gapMs = shortestGapMs(expression)
    const unit = INTERVAL_UNITS.find((candidate) => UNIT_MS[candidate] <= gapMs)
    if (unit !== undefined) return unit
    const every = gapMs === 60_000 ? 'minute' : `${gapMs / 60_000} minutes`
    throw new MillraceError(
      'MODEL',
      `Invalid cron '${expression}': it must run at a frequency of 5 minutes or slower, but ticks can be one ${every} apart`,
      { hint: "Use '*/5 * * * *' or anything slower." },
    )
  })
}

/**
 * Checks what a header says about scheduling. `unit` is the header's own `interval_unit`, null when it has none.
 *
 * @throws MillraceError `MODEL` (without a place) for a bad expression, for ticks less than five minutes apart, and
 *   for ticks closer together than `unit` unless partial intervals are allowed
 */
export function assertCron(expression: string, unit: IntervalUnit | null, allowPartials: boolean): void {
  const inferred = inferIntervalUnit(expression)
  if (unit === null || allowPartials || UNIT_MS[unit] <= UNIT_MS[inferred]) return
  throw new MillraceError('MODEL', `Cron '${expression}' cannot be more frequent than interval unit '${unit}'`, {
    hint: `Set interval_unit to '${inferred}' or shorter, or use a slower cron; if this is intentional, set allow_partials TRUE.`,
  })
}

/** @throws MillraceError `MODEL` (without a place) unless `timezone` is a name of the IANA time zone database */
export function assertTimezone(timezone: string): void {
  try {
    Intl.DateTimeFormat('en', { timeZone: timezone })
  } catch (cause) {
    const meant = nearest(timezone, Intl.supportedValuesOf('timeZone'))
    throw new MillraceError('MODEL', `expected an IANA time zone such as 'Europe/Berlin', got '${timezone}'`, {
      hint: meant === null ? 'Leave cron_tz out for UTC.' : `Did you mean '${meant}'?`,
      cause,
    })
  }
}

/** @throws MillraceError `MODEL` (without a place) for a bad expression */
export function cronFields(expression: string): CronFieldCollection {
  return parseCron(expression, 'UTC').fields
}

/** Far more distinct crons than a project has; a process that loads projects for years stays small all the same. */
const MEMO_SIZE = 2000
const crons = new Map<string, Cron>()
const units = new Map<string, IntervalUnit>()

/** Results of pure functions only, so forgetting them at any time is harmless. */
function remember<T>(memo: Map<string, T>, key: string, compute: () => T): T {
  const known = memo.get(key)
  if (known !== undefined) return known
  const value = compute()
  if (memo.size >= MEMO_SIZE) memo.clear()
  memo.set(key, value)
  return value
}

function createTicks(cron: CronExpression, expression: string): Cron {
  // The last gap between two ticks that was asked about: thousands of models with one cron and one "now" search once.
  let gap = { from: Number.NaN, to: Number.NaN }
  const findGap = (ms: number) => {
    if (!(gap.from <= ms && ms < gap.to)) {
      // Ticks lie on whole seconds and the parser's own steps are strict.
      const second = Math.floor(ms / 1000) * 1000
      gap = tick(expression, () => {
        cron.reset(new Date(second + 1000))
        const from = cron.prev().getTime()
        cron.reset(new Date(second))
        return { from, to: cron.next().getTime() }
      })
    }
    return gap
  }
  return { previous: (ms) => findGap(ms).from, next: (ms) => findGap(ms).to }
}

const ALIASES: Readonly<Record<string, string>> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
}

/** Any instant does: it only gives the parser something else to start from than the clock. */
const REFERENCE = new Date(Date.UTC(2023, 0, 1))

function parseCron(expression: string, timezone: string): CronExpression {
  const fields = toFields(expression).join(' ')
  return tick(expression, () => CronExpressionParser.parse(fields, { tz: timezone, currentDate: REFERENCE }))
}

/** The parser's own errors, on parsing and when no tick is ever found, say what is wrong but not where. */
function tick<T>(expression: string, compute: () => T): T {
  try {
    return compute()
  } catch (cause) {
    throw badCron(expression, cause instanceof Error ? cause.message : String(cause))
  }
}

function badCron(expression: string, problem: string, hint?: string): MillraceError {
  return new MillraceError('MODEL', `Invalid cron '${expression}': ${problem}`, {
    hint: hint ?? `Write minute, hour, day of month, month and day of week ('0 6 * * 1-5'), or ${aliasList()}.`,
  })
}

function aliasList(): string {
  return Object.keys(ALIASES).join(', ')
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
/** Bounds and names of the five fields, in order. */
const FIELDS = [
  { min: 0, max: 59, names: [] },
  { min: 0, max: 23, names: [] },
  { min: 1, max: 31, names: [] },
  { min: 1, max: 12, names: MONTHS },
  { min: 0, max: 6, names: DAYS },
] as const
type Field = (typeof FIELDS)[number]

function toFields(expression: string): string[] {
  const text = expression.trim().toLowerCase()
  if (text.startsWith('@')) {
    const fields = ALIASES[text]
    if (fields !== undefined) return fields.split(' ')
    const meant = nearest(text, Object.keys(ALIASES))
    throw badCron(expression, 'unknown alias', meant === null ? undefined : `Did you mean '${meant}'?`)
  }
  const fields = text.split(/\s+/)
  if (fields.length !== FIELDS.length || text === '') {
    throw badCron(expression, `expected 5 fields, got ${text === '' ? 0 : fields.length}`)
  }
  return FIELDS.map((field, index) => toField(fields[index] ?? '', field, expression))
}

/**
 * A field as the parser reads it. It refuses values that come twice and ranges that wrap around, so lists and such
 * ranges are written out as numbers.
 */
function toField(text: string, field: Field, expression: string): string {
  const items = text.split(',').map((item) => toItem(item, field, expression))
  const expanded = items.map((item) => expandItem(item, field))
  const values = [...new Set(expanded.flatMap((found) => found ?? []))].sort((a, b) => a - b)
  const plain = items.length === 1 && !items.some(isWrapped)
  return plain || expanded.includes(null) ? items.join(',') : values.join(',')
}

/** One item of a list, its names as numbers. */
function toItem(item: string, field: Field, expression: string): string {
  const names: readonly string[] = field.names
  const numbered = item.replaceAll(/[a-z]{3}/g, (name) => {
    const index = names.indexOf(name)
    return index === -1 ? name : String(index + field.min)
  })
  // An `h` is the parser's random value: a model would be due at another time in every process.
  if (/[^\dl*?#/-]/.test(numbered)) throw badCron(expression, `'${item}' is not understood`)
  const [, last] = field.names === DAYS ? (/^l(\d)$/.exec(numbered) ?? []) : []
  return last === undefined ? numbered.toUpperCase() : `${last}L`
}

function isWrapped(item: string): boolean {
  const [, low, high] = RANGE.exec(item) ?? []
  return high !== undefined && Number(low) > Number(high)
}

/** `a`, `a/n`, `a-b`, `a-b/n` */
const RANGE = /^(\d+)(?:-(\d+))?(?:\/(\d+))?$/

/** The numbers an item stands for; null when it is no number, range or step, or out of bounds: the parser says what is wrong. */
function expandItem(item: string, { min, max }: Field): number[] | null {
  const [, from, to, step] = RANGE.exec(item.replace(/^[*?]/, `${min}-${max}`)) ?? []
  if (from === undefined || step === '0') return null
  const low = Number(from)
  const high = to === undefined ? (step === undefined ? low : max) : Number(to)
  if (low < min || low > max || high < min || high > max) return null
  const size = max - min + 1
  const length = low <= high ? high - low + 1 : size - (low - high) + 1
  const count = Math.ceil(length / Number(step ?? 1))
  return Array.from({ length: count }, (_, index) => min + ((low - min + index * Number(step ?? 1)) % size))
}

/** Enough ticks to meet a leap day and every pair of months. */
const SAMPLED_DAYS = 40

/** The shortest time between two ticks in UTC: within a day, or from one day's last tick to the first of the next day that has any. */
function shortestGapMs(expression: string): number {
  const { fields } = parseCron(expression, 'UTC')
  const minutes = fields.minute.values
  const times = fields.hour.values.flatMap((hour) => minutes.map((minute) => hour * 60 + minute))
  times.sort((a, b) => a - b)
  const [first = 0, last = 0] = [times[0], times.at(-1)]
  const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0))
  return Math.min(...gaps.map((gap) => gap * 60_000), shortestDaysMs(expression) - (last - first) * 60_000)
}

/** The shortest time between two midnights of days that have a tick. */
function shortestDaysMs(expression: string): number {
  const days = createCron(`0 0 ${toFields(expression).slice(2).join(' ')}`, null)
  let shortest = Number.POSITIVE_INFINITY
  let day = days.next(REFERENCE.getTime())
  for (let sampled = 1; sampled < SAMPLED_DAYS && shortest > UNIT_MS.day; sampled++) {
    const following = days.next(day)
    shortest = Math.min(shortest, following - day)
    day = following
  }
  return shortest
}
