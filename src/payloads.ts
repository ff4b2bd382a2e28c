/**
 * Everything that crosses a Temporal boundary: names, times and counts. Never SQL, never a secret. Pure.
 * Times are epoch milliseconds UTC inside payloads and ISO 8601 in reports that people read.
 */

/** Argument of the workflow `buildProject`, as the Temporal CLI, a Schedule or the Web UI may give it too. */
export interface BuildInput {
  /** The project's name; may be left out where the worker serves one project. */
  project?: string
  /** Default `prod`. */
  environment?: string
  gateway?: string
  select?: string
  exclude?: string
  /** Date, timestamp or relative time; see CONTRACT of `--start`. */
  start?: string
  end?: string
  /** What "now" is everywhere; default: the workflow's start. */
  executionTime?: string
  fullRefresh?: boolean
  /**
   * Selections of models, as `select` has them, whose history is built again between `start` and `end`, with all that read them;
   * nothing else is built. Not with `select` or `fullRefresh`.
   */
  restate?: string[]
  /** Steps in flight; default 32, at most 500 and twice the connection's `concurrent_tasks`. */
  maxParallel?: number
  /** Stop starting steps after the first failure. */
  failFast?: boolean
  vars?: Record<string, string>
  /** Hash of the sender's copy of the project; a worker whose copy differs refuses. */
  projectHash?: string
  /** Rename what stands in the way of a model's name to `<name>__before_millrace`. */
  adopt?: boolean
  /** How long to wait for a database file that another process holds; default 60. */
  lockTimeoutSeconds?: number
  /** What to do when the environment is being built already. Default `reject`. */
  onConflict?: OnConflict
  /** Id of a workflow whose latest build is repeated as it was asked for: what it built is kept, the rest is built. */
  retryOf?: string
}

/** Wait for its turn, take the running build's result for one's own, refuse, or cancel the running build. */
export const ON_CONFLICT = ['queue', 'join', 'reject', 'preempt'] as const
export type OnConflict = (typeof ON_CONFLICT)[number]

/** A build among all builds of all servers. */
export interface BuildId {
  workflowId: string
  runId: string
}

/** `BuildInput` with everything decided that the workflow decides. */
export interface PlanRequest extends BuildInput {
  build: BuildId
  executionMs: number
}

/** What planning answers instead of a plan: another build comes before. */
export interface Occupied {
  project: string
  environment: string
  gateway: string
  waitsFor: BuildId
}

/** Argument of the activity `awaitBuild`. */
export interface AwaitInput {
  build: BuildId
  /** Not only that it has ended, but how. */
  withSummary: boolean
}

/** How another build ended. */
export interface EndedBuild {
  /** `gone`: terminated, timed out, or forgotten. */
  status: Exclude<BuildStatus, 'running'> | 'gone'
  summary: BuildSummary | null
  error: { code: string; message: string } | null
}

/** Another build's success, for one's own. */
export interface JoinedBuild {
  joined: BuildId
  summary: BuildSummary
}

/** Argument of the activity `leaveQueue`. */
export interface LeaveInput {
  build: BuildId
  project: string
  gateway: string
}

/** One model, or one batch of its intervals: a transaction. */
export interface BuildStep {
  model: string
  kind: string
  /** The attached catalog that it writes to; absent for the main database. */
  catalog?: string
  version: string
  /** Hash of the stored definition it is built from. */
  definition: string
  /** Half-open, epoch ms; null for what has no interval (a seed). */
  interval: readonly [number, number] | null
  /** Content of the seeds its rows come from, hashed; empty when there are none. */
  inputs: string
  /** Indices of the steps that must be done before. */
  parents: readonly number[]
  /** Something of it is built again because that was asked for: its commit says that it has been. */
  restates?: true
  /** Its model's rows stay as they are; its audits have changed. */
  auditsOnly?: true
  /** Nothing of its interval was recorded when it was planned. */
  fresh?: true
  /** Expected duration in ms, for priorities only. */
  weight: number
  /** How long one attempt may take. Default 24 hours. */
  timeoutMs?: number
  /** How often it is tried when its errors may pass. Default 5. */
  attempts?: number
}

/** A step as it crosses a boundary: what it waits for may be many, and is packed. */
export type PackedStep = Omit<BuildStep, 'parents'> & { parents: string }

/** What the workflow needs of a plan. */
export interface BuildPlan {
  project: string
  environment: string
  gateway: string
  /** In all. */
  stepCount: number
  /** Hash of each slice of the steps, which the state keeps while the build runs. */
  slices: readonly string[]
  /** Those of the first slice; the others are read. */
  steps: readonly PackedStep[]
  /** Models that need no step. */
  unchanged: number
  /** The environment would change at promotion. */
  promotes: boolean
  /** Of a build that repeats another one: what that one was asked for. */
  repeats?: Pick<PlanRequest, 'executionMs' | 'maxParallel' | 'failFast'>
  /** Leases the connection gives at once: more steps than this only wait for their turn. */
  concurrentTasks: number
  notices: readonly string[]
}

/** Argument of the activity `readPlanSlice`. */
export interface SliceInput {
  build: BuildId
  project: string
  gateway: string
  ordinal: number
  /** Of what the plan put there. */
  hash: string
}

/** Argument of the activity `buildModel`. */
export interface StepInput {
  build: BuildId
  project: string
  environment: string
  gateway: string
  /** Index in the plan. */
  index: number
  step: BuildStep
  executionMs: number
  lockTimeoutSeconds: number
}

/** Argument of the activity `evaluateModel`. */
export interface EvaluateInput {
  project?: string
  gateway?: string
  vars?: Record<string, string>
  environment: string
  /** Its whole name. */
  model: string
  /** Half-open, epoch ms. */
  interval: readonly [number, number]
  executionMs: number
  /** Rows at most. */
  limit: number
  lockTimeoutSeconds: number
}

/** Rows for a person who looks at them: the only data that ever crosses a boundary. */
export interface EvaluatedRows {
  columns: { name: string; type: string }[]
  rows: Record<string, unknown>[]
  /** Rows within the limit that did not fit into a payload. */
  leftOut: number
}

export type AuditStatus = 'pass' | 'warn' | 'fail'

export interface AuditResult {
  name: string
  status: AuditStatus
  /** Rows the audit returned. */
  failures: number
  /** As the call has them, where the model calls the audit more than once. */
  args?: Record<string, string>
  /** Where its bad rows are kept. */
  table?: string
  /** Why an audit that does not block could not run; it warns with no failures then. */
  message?: string
}

/** An audit of what an environment has now. */
export interface AuditOutcome {
  /** A standalone audit is its own. */
  model: string
  name: string
  args: Record<string, string>
  blocking: boolean
  /** `fail`: it blocks, and found rows or could not run. `warn`: the same of one that does not block. */
  status: AuditStatus
  failures: number
  durationMs: number
  /** Why it could not run; null when it ran. */
  message: string | null
}

/** What `audit --json` prints. */
export interface AuditReport {
  project: string
  environment: string
  audits: AuditOutcome[]
  /** Selected models with audits that the environment does not have. */
  missing: string[]
}

/** What a step leaves in the workflow's history. */
export interface StepOutcome {
  rows: number | null
  rowsFiltered: number
  /** Absent when 0. */
  rowsDuplicate?: number
  /** Non-blocking audits that found rows. */
  warnings: number
  durationMs: number
}

export type ModelStatus = 'success' | 'unchanged' | 'warn' | 'error' | 'skipped' | 'canceled' | 'pending'
export type BuildStatus = 'running' | 'succeeded' | 'failed' | 'canceled'
export type BuildCounts = Record<ModelStatus, number>

/** How each step that did not succeed ended: packed indices; the others succeeded. */
export interface BuildEnding {
  failed: string
  skipped: string
  /** For each skipped step, in the same order, the step because of which; the step itself if it was skipped by hand. */
  causes: string
  canceled: string
}

/** Argument of the activity `finishBuild`. */
export interface FinishInput {
  build: BuildId
  project: string
  environment: string
  gateway: string
  status: Exclude<BuildStatus, 'running'>
  ending: BuildEnding
  startedMs: number
  lockTimeoutSeconds: number
}

/** A model that did not succeed, in the workflow's result and queries. */
export interface ModelProblem {
  name: string
  status: ModelStatus
  reason: string | null
  error: { code: string; message: string } | null
}

/** Result of the workflow, and what its query `progress` returns while it runs: counts, and at most 100 models that did not succeed. */
export interface BuildSummary {
  project: string
  environment: string
  workflowId: string
  runId: string
  status: BuildStatus
  promoted: boolean
  startedAt: string
  endedAt: string | null
  durationMs: number | null
  counts: BuildCounts
  problems: ModelProblem[]
  /** The build whose result it is, which was running already. */
  joined?: BuildId
}

export interface RunningModel {
  name: string
  startedAt: string
}

/** Why a model was skipped that somebody said to skip. */
export const SKIPPED_BY_HAND = 'skipped by hand'

export function skippedBecause(name: string, how: 'failed' | 'was skipped'): string {
  return `skipped because '${name}' ${how}`
}

/** Most models that a result, a query or a list of problems names. */
export const MAX_PROBLEMS = 100

/** Result of the query `progress`. */
export interface BuildProgress extends BuildSummary {
  /** Steps, not models: what the bar shows. */
  stepsDone: number
  stepsTotal: number
  running: RunningModel[]
  /** Grows with every change, so that a watcher can tell news from no news. */
  revision: number
  /** What runs goes on, nothing more is started until it is resumed. */
  paused: boolean
  /** Steps in flight at most; 0 before the plan is there. */
  window: number
  /** The build that holds the environment, or is ahead in its queue; null when none does. */
  waitingFor: BuildId | null
  /** At most 5 models that are done, the slowest first. */
  slowest: { name: string; durationMs: number }[]
  /** Id of the schedule that started it. */
  schedule: string | null
  /** How many runs of the workflow it has taken so far, this one counted. */
  runs: number
  notices: readonly string[]
}

export interface ModelReport {
  name: string
  kind: string
  status: ModelStatus | 'running'
  reason: string | null
  intervals: [string, string][]
  rows: number | null
  rowsFiltered: number
  /** Rows left out since another one of their batch has the same key. */
  rowsDuplicate: number
  attempts: number
  startedAt: string | null
  endedAt: string | null
  durationMs: number | null
  audits: AuditResult[]
  /** What happened to the columns of its table, where it asks to be told. */
  warnings: string[]
  error: { code: string; message: string } | null
}

/** What `build`, `status` and `watch` print with `--json`. */
export interface BuildReport extends Omit<BuildSummary, 'problems'> {
  models: ModelReport[]
}

export type ChangeCategory =
  | 'added'
  | 'breaking'
  | 'non_breaking'
  | 'indirect_breaking'
  | 'indirect_non_breaking'
  | 'forward_only'
  | 'metadata'
  | 'removed'

/** How old a source is: a table that models read and nobody here builds. */
export interface SourceReport {
  name: string
  /** `stale`: no build of what reads it starts. */
  status: 'fresh' | 'warn' | 'stale'
  /** Of its newest row; null when it has none. */
  newest: string | null
  /** What is wrong with it. */
  message: string | null
}

/** What `plan --json` prints. */
export interface PlanReport {
  environment: string
  changes: { model: string; category: ChangeCategory; reason: string }[]
  backfills: { model: string; intervals: [string, string][]; batches: number; reason: string }[]
  stale: string[]
  unchanged: string[]
  /** What is not done although it was asked for, e.g. a model that is not restated. */
  notices: string[]
  /** Those whose age millrace.yaml limits, and that something to build reads. */
  sources: SourceReport[]
}

export function emptyCounts(): BuildCounts {
  return { success: 0, unchanged: 0, warn: 0, error: 0, skipped: 0, canceled: 0, pending: 0 }
}
