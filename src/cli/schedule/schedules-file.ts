/** schedules.yaml: several schedules of a project, kept beside it in version control. */
import { z } from 'zod'
import { MillraceError, ProjectError } from '../../errors.ts'
import { ON_CONFLICT, type BuildInput } from '../../payloads.ts'
import { toProblems } from '../../project/config-schema.ts'
import { parseDuration } from '../../project/duration.ts'
import { parseYaml, type DataPath } from '../../project/yaml-file.ts'
import {
  DEFAULT_CATCH_UP_MS,
  isScheduleName,
  MIN_CATCH_UP_MS,
  OVERLAPS,
  type OverlapName,
  type ScheduleSettings,
  type When,
} from './definition.ts'

/** A schedule of the file, and the line it begins on. */
export interface FiledSchedule {
  settings: ScheduleSettings & { name: string }
  line: number
}

export interface SchedulesFile {
  file: string
  schedules: FiledSchedule[]
}

function duration(leastMs: number) {
  const least = leastMs === 0 ? '' : ` of at least ${leastMs / 1000} s`
  return z
    .string()
    .refine((text) => (parseDuration(text) ?? -1) >= leastMs, {
      error: `a duration${least} such as '90s', '5m' or '1h30m'`,
    })
    .transform((text) => parseDuration(text) ?? 0)
}

const scheduleSchema = z.strictObject({
  cron: z
    .custom<string | string[]>((value) => isText(value) || (Array.isArray(value) && value.every(isText)), {
      error: "a cron such as '0 6 * * 1-5', or a list of them",
    })
    .optional(),
  every: duration(1000).optional(),
  offset: duration(0).optional(),
  auto: z.boolean().optional(),
  time_zone: z.string().optional(),
  jitter: duration(0).optional(),
  overlap: oneOf(Object.keys(OVERLAPS)).optional(),
  catch_up: duration(MIN_CATCH_UP_MS).optional(),
  pause_on_failure: z.boolean().optional(),
  note: z.string().optional(),
  paused: z.boolean().optional(),
  on_conflict: oneOf(ON_CONFLICT).optional(),
  environment: z.string().min(1).optional(),
  gateway: z.string().min(1).optional(),
  select: z.string().min(1).optional(),
  exclude: z.string().min(1).optional(),
  start: z.string().min(1).optional(),
  end: z.string().min(1).optional(),
  full_refresh: z.boolean().optional(),
  max_parallel: z.int().min(1).optional(),
  fail_fast: z.boolean().optional(),
  lock_timeout: z.number().min(0).optional(),
  task_queue: z.string().min(1).optional(),
  vars: z
    .record(z.string(), z.custom<string | number | boolean>(isPlain, { error: 'text, a number, true or false' }))
    .optional(),
})
type ScheduleShape = z.infer<typeof scheduleSchema>

const fileSchema = z.strictObject({ schedules: z.record(z.string(), scheduleSchema) })

/** @throws MillraceError or ProjectError CONFIG: every mistake with its line */
export function parseSchedulesFile(text: string, file: string): SchedulesFile {
  const yaml = parseYaml(text, file, { code: 'CONFIG' })
  const locate = (path: DataPath) => ({ file, line: yaml.locate(path).line })
  const value = yaml.value ?? {}
  const parsed = fileSchema.safeParse(value)
  if (!parsed.success) throw new ProjectError(toProblems(parsed.error.issues, { schema: fileSchema, value, locate }))
  const problems: MillraceError[] = []
  const schedules = Object.entries(parsed.data.schedules).flatMap(([name, shape]) => {
    const { line } = locate(['schedules', name])
    try {
      return [{ settings: toSettings(name, shape), line }]
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      const hint = error.hint === null ? {} : { hint: error.hint }
      problems.push(new MillraceError('CONFIG', error.message, { file, line, ...hint }))
      return []
    }
  })
  if (problems.length > 0) throw new ProjectError(problems)
  return { file, schedules }
}

function toSettings(name: string, shape: ScheduleShape): ScheduleSettings & { name: string } {
  if (!isScheduleName(name))
    throw new MillraceError('CONFIG', `expected a schedule's name of letters, digits, '-', '_' and '.', got '${name}'`)
  const when = whenOf(name, shape)
  if (when === 'auto' && shape.time_zone !== undefined) {
    throw new MillraceError('CONFIG', `expected no 'time_zone' beside 'auto' in '${name}'`, {
      hint: "the models' own cron_tz decides",
    })
  }
  return {
    name,
    when,
    timeZone: shape.time_zone ?? null,
    jitterMs: shape.jitter ?? 0,
    overlap: (shape.overlap as OverlapName | undefined) ?? 'skip',
    catchUpMs: shape.catch_up ?? DEFAULT_CATCH_UP_MS,
    pauseOnFailure: shape.pause_on_failure ?? false,
    note: shape.note ?? null,
    paused: shape.paused ?? null,
    taskQueue: shape.task_queue ?? null,
    input: toInput(shape),
  }
}

function whenOf(name: string, { cron, every, offset, auto }: ScheduleShape): When {
  const crons = cron === undefined ? [] : [cron].flat()
  const given = [
    ...(crons.length > 0 ? ['cron'] : []),
    ...(every === undefined ? [] : ['every']),
    ...(auto === true ? ['auto'] : []),
  ]
  if (given.length !== 1) {
    const got = given.length === 0 ? 'none' : given.join(' and ')
    throw new MillraceError('CONFIG', `expected one of 'cron', 'every' and 'auto: true' in '${name}', got ${got}`)
  }
  if (offset !== undefined && (every === undefined || offset >= every))
    throw new MillraceError('CONFIG', `expected 'offset' in '${name}' beside a longer 'every'`)
  if (auto === true) return 'auto'
  return every === undefined ? { crons } : { everyMs: every, offsetMs: offset ?? 0 }
}

function toInput(shape: ScheduleShape): BuildInput {
  const { environment, gateway, select, exclude, start, end, full_refresh, max_parallel, fail_fast, vars } = shape
  const defined = Object.entries({
    environment: environment ?? 'prod',
    gateway,
    select,
    exclude,
    start,
    end,
    // As on a command line, what is false is not said.
    fullRefresh: full_refresh === true ? true : undefined,
    maxParallel: max_parallel,
    failFast: fail_fast === true ? true : undefined,
    vars:
      vars === undefined || Object.keys(vars).length === 0
        ? undefined
        : Object.fromEntries(Object.entries(vars).map(([key, value]) => [key, String(value)])),
    lockTimeoutSeconds: shape.lock_timeout ?? 60,
    onConflict: shape.on_conflict ?? 'queue',
  }).filter(([, value]) => value !== undefined)
  return Object.fromEntries(defined)
}

function oneOf(known: readonly string[]) {
  return z.string().refine((text) => known.includes(text), { error: `one of ${known.join(', ')}` })
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== ''
}

function isPlain(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}
