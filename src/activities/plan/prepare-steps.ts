/** What the steps of a catalog need there before the first of them starts: schemas, and what its state says of their versions. */
import type { Lease } from '../../connections/lease.ts'
import type { PlannedModel } from '../../graph/plan-context.ts'
import { cutAtBatches } from '../../graph/restate.ts'
import { FINGERPRINT_FORMAT } from '../../project/fingerprint.ts'
import { quoteIdentifier } from '../../sql/identifiers.ts'
import { physicalRelation } from '../../sql/physical.ts'
import { dropReplaced, recordAutoRestated, replacePending, type NewRestatement } from '../../state/restatements.ts'
import {
  adoptFingerprints,
  insertDefinitions,
  insertVersions,
  newDefinitions,
  type NewDefinition,
  type NewVersion,
} from '../../state/versions.ts'
import type { MadePlan } from './planner.ts'

export interface Preparation {
  made: MadePlan
  /** Null: the main database. */
  catalog: string | null
}

/** Makes the schemas of the steps in a catalog. @returns SQL of what they need in its state. */
export async function prepareSteps(lease: Lease, project: string, { made, catalog }: Preparation): Promise<string[]> {
  const { steps, plan, definitions } = made
  const catalogOf = (model: string): string | null => definitions.get(model)?.definition.model.relation.catalog ?? null
  const here: Planned = {
    steps: steps.filter((step) => (step.catalog ?? null) === catalog),
    // What has no table is in no catalog, whatever its name says.
    models: plan.models.filter(({ name, hasTable }) => (hasTable ? catalogOf(name) : null) === catalog),
    definitions,
  }
  await createSchemas(lease, here)
  const missing = await newDefinitions(lease, definitionsOfSteps(project, here))
  return [
    ...insertVersions(newVersions(project, here)),
    ...insertDefinitions(missing),
    ...adoptFingerprints(here.models.filter(({ adopts }) => adopts).map(inFormat)),
    ...(made.hasPending ? [dropReplaced()] : []),
    ...replacePending(here.models.flatMap(toRestatement)),
    ...recordAutoRestated(
      here.models.filter((model) => model.startsAutoRestatement).map(({ version }) => version),
      made.executionMs,
    ),
  ]
}

function inFormat({ version, fingerprint }: PlannedModel): Pick<NewVersion, 'version' | 'fingerprint' | 'format'> {
  return { version, fingerprint, format: FINGERPRINT_FORMAT }
}

/** What is built in place is known by the batches that build it. */
function toRestatement({ hasTable, restated, batches }: PlannedModel): NewRestatement[] {
  if (!hasTable || restated === null) return []
  const { version, intervals, replacedBy } = restated
  return [{ version, ranges: replacedBy === null ? cutAtBatches(intervals, batches) : intervals, replacedBy }]
}

/** What is planned in one catalog. */
interface Planned extends Pick<MadePlan, 'steps' | 'definitions'> {
  models: MadePlan['plan']['models']
}

/** Before the fan-out: two transactions that create one schema conflict. */
async function createSchemas(lease: Lease, { steps, definitions }: Planned): Promise<void> {
  const schemas = new Set<string>()
  for (const { model, version, kind, auditsOnly } of steps) {
    if (kind === 'AUDIT' || auditsOnly === true) continue
    const relation = definitions.get(model)?.definition.model.relation
    if (relation !== undefined) schemas.add(physicalRelation(relation, version).schema ?? 'main')
  }
  if (schemas.size === 0) return
  const statements = [...schemas].sort().map((schema) => `CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`)
  await lease.script(statements.join('; '))
}

function newVersions(project: string, { models, definitions }: Planned): NewVersion[] {
  return models
    .filter(({ selected, isNew }) => selected && isNew)
    .map(({ name, kind, version, fingerprint, hasTable }) => {
      const relation = definitions.get(name)?.definition.model.relation
      const physical = hasTable && relation !== undefined ? physicalRelation(relation, version) : null
      return {
        version,
        project,
        model: name,
        kind,
        fingerprint,
        format: FINGERPRINT_FORMAT,
        physicalSchema: physical?.schema ?? null,
        physicalName: physical?.name ?? null,
      }
    })
}

function definitionsOfSteps(project: string, { steps, definitions }: Planned): NewDefinition[] {
  const stepped = new Set(steps.map(({ model }) => model))
  return [...definitions].filter(([name]) => stepped.has(name)).map(([, stored]) => ({ project, ...stored }))
}
