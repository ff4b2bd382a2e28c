/** All that building one step needs in one place, and what can be derived from it. */
import type { Lease } from '../../connections/lease.ts'
import { MillraceError } from '../../errors.ts'
import type { BuildId, BuildStep, StepInput } from '../../payloads.ts'
import type { ModelDefinition } from '../../project/definition.ts'
import type { RelationName } from '../../project/model.ts'
import type { RenderOptions } from '../../project/render-model.ts'
import { quoteRelation } from '../../sql/identifiers.ts'
import type { TableColumn } from '../../sql/kinds/kind-write.ts'
import { physicalRelation } from '../../sql/physical.ts'
import { stepId } from '../../state/outcomes.ts'
import type { Heartbeat } from '../heartbeat.ts'
import type { WorkerProject } from '../worker-projects.ts'

type Session = Pick<Lease, 'run' | 'rows'>

export interface StepWork {
  readonly id: string
  readonly build: BuildId
  readonly index: number
  readonly step: BuildStep
  readonly definition: ModelDefinition
  /** The version's physical table or view. */
  readonly table: RelationName
  readonly lease: Lease
  readonly project: WorkerProject
  readonly executionMs: number
  /** This attempt's number, those of lost workers counted. */
  readonly attempts: number
  /** Nobody has tried this step of this build before, as far as Temporal knows. */
  readonly first: boolean
  readonly signal: AbortSignal
  say(phase: string): void
}

/** What is enough to read a model's table, without a step of a build. */
export interface TableWork extends Pick<StepWork, 'definition' | 'table' | 'executionMs'> {
  readonly step: Pick<BuildStep, 'interval'>
  readonly project: Pick<WorkerProject, 'root' | 'parser'>
}

/** Of a whole table `@start_ds` and its like are all of its time. */
export function auditOptions(work: TableWork): RenderOptions {
  return { ...renderOptions(work, 'auditing'), interval: work.step.interval ?? [0, work.executionMs] }
}

export interface StepParts {
  input: StepInput
  lease: Lease
  project: WorkerProject
  definition: ModelDefinition
  heartbeat: Heartbeat
  /** Ends the attempt: cancelled, or out of time. */
  signal: AbortSignal
  attempts: number
  first: boolean
}

export function createStepWork({ input, heartbeat, ...parts }: StepParts): StepWork {
  const { build, index, step, executionMs } = input
  return {
    ...parts,
    id: stepId(build, index),
    build,
    index,
    step,
    table: physicalRelation(parts.definition.model.relation, step.version),
    executionMs,
    say: (phase) => heartbeat.say(phase),
  }
}

export function renderOptions(work: TableWork, runtimeStage: RenderOptions['runtimeStage']): RenderOptions {
  return {
    // Nothing is due, but the table must be there: its columns are those of a query for no time at all.
    interval: work.step.interval ?? [work.executionMs, work.executionMs],
    executionMs: work.executionMs,
    runtimeStage,
    thisModel: quoteRelation(work.table),
    root: work.project.root,
    parser: work.project.parser,
  }
}

/** The columns of the version's table, which must be there; the one place that asks for them. */
export async function tableColumns(session: Session, { table }: Pick<StepWork, 'table'>): Promise<TableColumn[]> {
  return describeQuery(session, quoteRelation(table))
}

/** The columns that a query returns; it does not run. */
export async function describeQuery(session: Session, query: string): Promise<TableColumn[]> {
  const columns = await session.rows<{ column_name: string; column_type: string }>(`DESCRIBE ${query}`)
  return columns.map(({ column_name, column_type }) => ({ name: column_name, type: column_type }))
}

/**
 * The type of a column that an option of the kind names.
 * @param columns of the table. @throws MillraceError MODEL when the query does not return the column.
 */
export function columnType(
  { definition: { model } }: Pick<StepWork, 'definition'>,
  columns: readonly TableColumn[],
  { option, column }: { option: 'time_column' | 'updated_at_name'; column: string },
): string {
  const found = columns.find(({ name }) => name.toLowerCase() === column.toLowerCase())
  if (found !== undefined) return found.type
  const names = columns.map(({ name }) => name).join(', ')
  throw new MillraceError(
    'MODEL',
    `model '${model.name}': expected its ${option} '${column}' among the query's columns; they are ${names}`,
    {
      file: model.file,
      line: model.line,
    },
  )
}
