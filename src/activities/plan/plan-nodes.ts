/** Models as planning needs them: times resolved, hashes taken. */
import { createCron } from '../../graph/cron.ts'
import { createModelGraph } from '../../graph/model-graph.ts'
import type { PlanNode } from '../../graph/plan-context.ts'
import { parseTime } from '../../graph/time.ts'
import { calledAudits } from '../../project/definition.ts'
import { dataHash, metadataHash, sha256 } from '../../project/fingerprint.ts'
import type { Model } from '../../project/model.ts'
import type { Project } from '../../project/project.ts'
import { hashSeed, resolveSeedPath } from '../../project/seeds.ts'

/** @param nowMs what relative times are relative to. */
export async function planNodes(project: Project, models: readonly Model[], nowMs: number): Promise<PlanNode[]> {
  const starts = resolveStarts(models, nowMs)
  const contents = await Promise.all(models.map((model) => seedContent(project, model)))
  return models.map((model, index) => ({
    name: model.name,
    kind: model.kind,
    tags: model.tags,
    file: model.file,
    line: model.line,
    depends_on: model.depends_on,
    audit_depends_on: model.audit_depends_on,
    cron: model.cron,
    cron_tz: model.cron_tz,
    interval_unit: model.interval_unit,
    start: starts.get(model.name) ?? null,
    startIsInferred: model.start === null,
    end: model.end === null ? null : parseTime(model.end, 'end', nowMs),
    lookback: model.kind.lookback ?? 0,
    allow_partials: model.allow_partials,
    dataHash: (format) => dataHashOf(model, project, format),
    metadataHash: metadataHash(model, calledAudits(model, project.audits)),
    content: contents[index] ?? null,
    self_referencing: model.self_referencing,
    audited: model.audits.length > 0,
  }))
}

/** A view in one catalog names the other ones that it reads: with another name of the main database it is another view. */
function dataHashOf(model: Model, project: Project, format: number): string {
  const own = dataHash(model, project.variables, format)
  if (model.kind.name !== 'VIEW' || model.relation.catalog === null) return own
  return sha256([own, project.defaultCatalog])
}

/** A model without a start has the earliest of its parents', else the latest tick of its cron. */
function resolveStarts(models: readonly Model[], nowMs: number): Map<string, number> {
  const byName = new Map(models.map((model) => [model.name, model]))
  const starts = new Map<string, number>()
  const graph = createModelGraph(models)
  for (const name of graph.names) {
    const model = byName.get(name)
    if (model === undefined) continue
    const parents = graph.dataParents(name).map((parent) => starts.get(parent) ?? nowMs)
    const cron = createCron(model.cron, model.cron_tz)
    starts.set(
      name,
      model.start !== null
        ? parseTime(model.start, 'start', nowMs)
        : parents.length > 0
          ? Math.min(...parents)
          : cron.previous(cron.previous(nowMs) - 1),
    )
  }
  return starts
}

async function seedContent(project: Project, model: Model): Promise<string | null> {
  if (model.kind.name !== 'SEED' || model.kind.path === undefined) return null
  return hashSeed(await resolveSeedPath(model.kind.path, model, project.root))
}
