/** Fingerprints name versions: which version a model's definition has, in the state or anew. */
import type {
  EnvironmentEntry,
  KnownVersion,
  PendingRestatement,
  PlanContext,
  PlannedModel,
  PlanNode,
} from './plan-context.ts'

export interface ChosenVersion {
  version: string
  fingerprint: string
  isNew: boolean
  /** The version is of another fingerprint, and stays: it gets this one. */
  adopts: boolean
}

type Planned = ReadonlyMap<string, PlannedModel>

/** The version a model's definition has: the environment's if the model keeps it, else one of the state, else a new one. */
export function chooseVersion(node: PlanNode, planned: Planned, context: PlanContext): ChosenVersion {
  const kept = keptVersion(node, planned, context)
  if (kept !== null) {
    const adopts = !hasFingerprint(kept, node, planned, context)
    const fingerprint = adopts ? fingerprintOf(node, planned, context) : kept.fingerprint
    return { version: kept.version, fingerprint, isNew: false, adopts }
  }
  const current = context.environment.get(node.name)
  const known = context.refresh === null ? [...(context.versions.get(node.name) ?? [])] : []
  known.sort((a, b) => Number(b.version === current?.version) - Number(a.version === current?.version))
  const found = known.find((candidate) => hasFingerprint(candidate, node, planned, context))
  if (found !== undefined) {
    return { version: found.version, fingerprint: found.fingerprint, isNew: false, adopts: false }
  }
  return newVersion(node, planned, context, context.refresh)
}

/** The version that takes the place of one whose whole history is built again: the one that was begun, else a new one. */
export function replacingVersion(
  node: PlanNode,
  planned: Planned,
  context: PlanContext,
  pending: PendingRestatement | null,
): ChosenVersion {
  const begun = pending?.replacedBy == null ? undefined : findVersion(node.name, pending.replacedBy, context)
  if (begun !== undefined && hasFingerprint(begun, node, planned, context)) {
    return { version: begun.version, fingerprint: begun.fingerprint, isNew: false, adopts: false }
  }
  return newVersion(node, planned, context, context.restatement)
}

/** Are the versions of all parents that changed others only because histories are built again? */
export function onlyParentsRestated(node: PlanNode, planned: Planned, context: PlanContext): boolean {
  const changed = context.graph
    .parents(node.name)
    .map((name) => planned.get(name))
    .filter((parent) => parent !== undefined && parent.version !== context.environment.get(parent.name)?.version)
  return changed.length > 0 && changed.every((parent) => parent?.onlyRestated === true)
}

/**
 * The environment's version, if the model goes on in its table whatever changes: what is forward_only does; what must not be
 * restated does when nothing but that has happened to its parents. A change of the kind always makes a new table.
 */
function keptVersion(node: PlanNode, planned: Planned, context: PlanContext): KnownVersion | null {
  const current = context.environment.get(node.name)
  if (context.refresh !== null || current === undefined) return null
  const known = findVersion(node.name, current.version, context)
  if (known === undefined || known.kind !== node.kind.name) return null
  if (node.kind.forward_only === true) return known
  const mayNot = node.kind.disable_restatement === true && !ownDataChanged(node, current, context)
  return mayNot && onlyParentsRestated(node, planned, context) ? known : null
}

function newVersion(node: PlanNode, planned: Planned, context: PlanContext, salt: string | null): ChosenVersion {
  const fingerprint = fingerprintOf(node, planned, context)
  const version = versionName(context.hash([fingerprint, salt]))
  return { version, fingerprint, isNew: findVersion(node.name, version, context) === undefined, adopts: false }
}

/** Compared in the format it was made with: a newer format alone rebuilds nothing. */
function hasFingerprint(known: KnownVersion, node: PlanNode, planned: Planned, context: PlanContext): boolean {
  return fingerprintOf(node, planned, { ...context, format: known.format }) === known.fingerprint
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
function fingerprintOf(node: PlanNode, planned: Planned, context: PlanContext): string {
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
