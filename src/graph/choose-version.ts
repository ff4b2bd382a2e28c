/** Fingerprints name versions: which version a model's definition has, in the state or anew. */
import type { EnvironmentEntry, KnownVersion, PlanContext, PlannedModel, PlanNode } from './plan-context.ts'

export interface ChosenVersion {
  version: string
  fingerprint: string
  isNew: boolean
}

/** The version a model's definition has in the state, the environment's first, else a new one. */
export function chooseVersion(
  node: PlanNode,
  planned: ReadonlyMap<string, PlannedModel>,
  context: PlanContext,
): ChosenVersion {
  const current = context.environment.get(node.name)
  const known = context.refresh === null ? [...(context.versions.get(node.name) ?? [])] : []
  known.sort((a, b) => Number(b.version === current?.version) - Number(a.version === current?.version))
  for (const candidate of known) {
    // Compared in the format it was made with: a newer format alone rebuilds nothing.
    const fingerprint = fingerprintOf(node, planned, { ...context, format: candidate.format })
    if (fingerprint === candidate.fingerprint) return { version: candidate.version, fingerprint, isNew: false }
  }
  const fingerprint = fingerprintOf(node, planned, context)
  const version = versionName(context.hash([fingerprint, context.refresh]))
  return { version, fingerprint, isNew: findVersion(node.name, version, context) === undefined }
}

function versionName(hash: string): string {
  return hash.slice(0, 12)
}

export function findVersion(
  model: string,
  version: string,
  context: Pick<PlanContext, 'versions'>,
): KnownVersion | undefined {
  return context.versions.get(model)?.find((known) => known.version === version)
}

/** `<own>.<all>`: the hash of what the model itself says, and the hash of that and its parents' versions. */
function fingerprintOf(node: PlanNode, planned: ReadonlyMap<string, PlannedModel>, context: PlanContext): string {
  const parents = context.graph.dataParents(node.name).map((name) => {
    return [name, planned.get(name)?.version ?? null]
  })
  const own = ownHash(node, context)
  return `${own}.${context.hash([context.format, own, parents])}`
}

function ownHash(node: PlanNode, { format, project, hash }: Pick<PlanContext, 'format' | 'project' | 'hash'>): string {
  return hash([format, project, node.dataHash(format)])
}

/** Does the model itself say anything else than in the environment's version? The parents it has there do not count: they may have moved on without it. */
export function ownDataChanged(
  node: PlanNode,
  current: EnvironmentEntry,
  context: Pick<PlanContext, 'versions' | 'project' | 'hash'>,
): boolean {
  const known = findVersion(node.name, current.version, context)
  if (known === undefined) return true
  return !known.fingerprint.startsWith(`${ownHash(node, { ...context, format: known.format })}.`)
}
