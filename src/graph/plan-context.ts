/** What planning knows: the models, what is built of them, what is asked for; and what it says of each. */
import type { ChangeCategory } from '../payloads.ts'
import type { KindName } from '../project/model.ts'
import type { Interval, IntervalModel } from './intervals.ts'
import type { GraphNode, ModelGraph } from './model-graph.ts'

/** A model as planning needs it. */
export interface PlanNode extends GraphNode, Omit<IntervalModel, 'kind'> {
  kind: { name: KindName; batch_size?: number }
  /** Data hash in the given fingerprint format. */
  dataHash(format: number): string
  metadataHash: string
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
  fingerprint: string
  format: number
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
  /** Its batches depend on each other. */
  serial: boolean
  /** Its step writes nothing: its rows stay, its audits run again. */
  auditsOnly: boolean
  /** Content of the seeds its rows come from. */
  inputs: string
}
