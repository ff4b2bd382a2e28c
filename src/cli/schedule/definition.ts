/** What a schedule of builds is: as it is asked for, and as a server keeps it. */
import type { ScheduleOverlapPolicy } from '@temporalio/client'
import type { Calendar } from '../../graph/cron-calendars.ts'
import type { BuildInput } from '../../payloads.ts'

/** As people write it → as Temporal does. */
export const OVERLAPS = {
  skip: 'SKIP',
  'buffer-one': 'BUFFER_ONE',
  'buffer-all': 'BUFFER_ALL',
  'cancel-other': 'CANCEL_OTHER',
  'terminate-other': 'TERMINATE_OTHER',
  'allow-all': 'ALLOW_ALL',
} as const satisfies Record<string, ScheduleOverlapPolicy>
export type OverlapName = keyof typeof OVERLAPS

export const DEFAULT_CATCH_UP_MS = 3_600_000
/** The shortest that the server takes: what is less becomes this. */
export const MIN_CATCH_UP_MS = 10_000

/** When a schedule fires: at the ticks of crons, every so often, or whenever a model is due. */
export type When = { crons: readonly string[] } | { everyMs: number; offsetMs: number } | 'auto'

/** How the server goes about it. */
export interface SchedulePolicies {
  jitterMs: number
  overlap: OverlapName
  catchUpMs: number
  pauseOnFailure: boolean
}

/** What a command line or a file says of a schedule; what it leaves out has its default. */
export interface ScheduleSettings extends SchedulePolicies {
  /** Null: it is called after its environment. */
  name: string | null
  when: When
  /** IANA name; null: UTC, or what the models say. */
  timeZone: string | null
  /** Null: as it is. */
  note: string | null
  /** Null: as it is, not paused when it is new. */
  paused: boolean | null
  /** Null: the project's. */
  taskQueue: string | null
  input: BuildInput
}

/** The comment says which cron it is from. */
export interface CommentedCalendar extends Calendar {
  seconds: number[]
  comment: string
}

/** What is kept of a schedule on the server, ours or somebody else's. */
export interface ScheduleDefinition extends SchedulePolicies {
  id: string
  calendars: readonly CommentedCalendar[]
  intervals: readonly { everyMs: number; offsetMs: number }[]
  /** The calendars are the models' own crons. */
  auto: boolean
  timeZone: string
  note: string | null
  paused: boolean | null
  workflowType: string
  /** The server appends the time it was due. */
  workflowId: string
  taskQueue: string
  input: BuildInput
  summary: string
  details: string
}

/** Names are parts of ids that people type and read. */
export function isScheduleName(text: string): boolean {
  return /^[\w.-]+$/.test(text)
}

/** Ids of a project's schedules begin with it. */
export function idPrefix(project: string): string {
  return `millrace/${project}/`
}

/** The name people call it by: its id without the project's prefix; a schedule made elsewhere has only its id. */
export function nameOf(id: string, project: string): string {
  const prefix = idPrefix(project)
  return id.startsWith(prefix) ? id.slice(prefix.length) : id
}
