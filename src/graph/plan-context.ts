/** What planning knows: the models, what is built of them, what is asked for; and what it says of each. */
import type { ChangeCategory } from '../payloads.ts'
import type { KindName, ModelKind } from '../project/model.ts'
import type { Interval, IntervalModel } from './intervals.ts'
import type { GraphNode, ModelGraph } from './model-graph.ts'

/** A model as planning needs it. */
export interface PlanNode extends GraphNode, Omit<IntervalModel, 'kind'> {
  kind: Pick<
    ModelKind,
    | 'name'
    | 'batch_size'
    | 'batch_concurrency'
    | 'forward_only'
    | 'disable_restatement'
    | 'auto_restatement_cron'
    | 'auto_restatement_intervals'
  >
  /** Data hash in the given fingerprint format. */
  dataHash(format: number): string
  metadataHash: string
  /** The model names no start: what it has is its parents', or moves along with the time. */
  startIsInferred: boolean
  /** SEED: hash of the file's content; null for other kinds. */
  content: string | null
  self_referencing: boolean
  /** It calls audits. Default false. */
  audited?: boolean
}

/** What an environment holds of a model. */
export interface EnvironmentEntry {
  model: string
  version: string
  metadataHash: string
}

/** A version in the state, built or begun. */
export interface KnownVersion {
  version: string
  model: string
  kind: string
  fingerprint: string
  format: number
}

/** What was asked to be built again of a version, and has not been yet. */
export interface PendingRestatement {
  intervals: Interval[]
  /** The version that is built in its place; null: it is built again in place, or nobody has begun. */
  replacedBy: string | null
}

/** What the ledger says of a version. */
export interface Coverage {
  intervals: Interval[]
  /** Seeds' content its rows were made from; null when nothing is recorded. */
  inputs: string | null
}

export interface PlanContext {
  graph: ModelGraph<PlanNode>
  selected: ReadonlySet<string>
  /** Some models are left out on purpose: then nothing is removed. */
  selective: boolean
  environment: ReadonlyMap<string, EnvironmentEntry>
  /** By model. */
  versions: ReadonlyMap<string, readonly KnownVersion[]>
  /** By version; a version without rows may be absent. */
  coverage: ReadonlyMap<string, Coverage>
  /** Epoch ms; `start` null means each model's own. `end` is exclusive. */
  range: { start: number | null; end: number; now: number }
  /** Not null: every selected model gets a new version, told apart by this text. */
  refresh: string | null
  /**
   * Names of models whose history is to be built again within `range`, with all that read them; empty where an earlier build has
   * asked for it. Null: the build is no restatement.
   */
  restate: ReadonlySet<string> | null
  /** Tells versions apart that are built because a whole history is built again. */
  restatement: string
  /** By version. */
  pending: ReadonlyMap<string, PendingRestatement>
  /** By version: up to when its `auto_restatement_cron` has been heeded; epoch ms. */
  autoRestated: ReadonlyMap<string, number>
  project: string
  format: number
  hash: (value: unknown) => string
}

export interface PlannedModel {
  name: string
  kind: KindName
  version: string
  fingerprint: string
  /** False for EMBEDDED and EXTERNAL. */
  hasTable: boolean
  /** The version does not exist in the state yet. */
  isNew: boolean
  category: ChangeCategory | null
  reason: string | null
  selected: boolean
  /** What its steps cover, one step each; `null` stands for a step without an interval (a seed, an empty table). Empty: nothing to do. */
  batches: (Interval | null)[]
  /** Intervals of `batches`, merged. */
  intervals: Interval[]
  /** How many of its batches may run at once: each waits for the one so many places before it. Null: all. */
  concurrency: number | null
  /** Its first batch may change the table's columns: the others wait for it. */
  leads: boolean
  /** The version stays although its definition or its parents' versions are others: it takes on the new fingerprint. */
  adopts: boolean
  /** Null when nothing of it is to be built again. */
  restated: Restated | null
  /** Why it is not restated although what it reads is, or it was named; null otherwise. */
  notRestated: string | null
  /** Its version differs from the environment's only because a history is built again, not because anything changed. */
  onlyRestated: boolean
  /** Its `auto_restatement_cron` counts from now on. */
  startsAutoRestatement: boolean
  /** Its step writes nothing: its rows stay, its audits run again. */
  auditsOnly: boolean
  /** Content of the seeds its rows come from. */
  inputs: string
}

/** What of a model is to be built again. */
export interface Restated {
  /** The time it was asked for, for those who read it; its ends may be ±Infinity. Null: it was asked for by an earlier build. */
  asked: Interval | null
  /** Whose record is to be made anew. */
  version: string
  /** What of that record; empty for what has none. */
  intervals: Interval[]
  /** The version that is built in its place, since its rows cannot be made anew piece by piece; null: in place. */
  replacedBy: string | null
}
