/** `--auto`: when the models themselves are due. */
import { MillraceError } from '../../errors.ts'
import { createModelGraph } from '../../graph/model-graph.ts'
import { selectModels } from '../../graph/select.ts'
import type { BuildInput } from '../../payloads.ts'
import type { Project } from '../../project/project.ts'

/** Kinds that no tick makes due: a seed is built when its file has changed, the others have no table. */
const NEVER_DUE: ReadonlySet<string> = new Set(['SEED', 'EMBEDDED', 'EXTERNAL', 'AUDIT'])

export interface DueCrons {
  /** Distinct, in the order of their first model. */
  crons: string[]
  timeZone: string
}

/**
 * The crons of the enabled, selected models: at each of their ticks a build finds what is due.
 * @throws MillraceError SELECTION; USAGE where no model has a cron that counts, or two have different time zones.
 */
export function dueCrons(project: Project, { select, exclude }: BuildInput): DueCrons {
  const graph = createModelGraph(project.models.filter((model) => model.enabled))
  const selected = selectModels(graph, { select: select ?? null, exclude: exclude ?? null })
  const due = [...selected].map((name) => graph.get(name)).filter(({ kind }) => !NEVER_DUE.has(kind.name))
  const [first] = due
  if (first === undefined) {
    throw new MillraceError('USAGE', `--auto: expected a model with a cron; all of '${project.name}' are seeds`, {
      hint: 'say when with --cron or --every',
    })
  }
  const zoneOf = (model: typeof first): string => model.cron_tz ?? 'UTC'
  const other = due.find((model) => zoneOf(model) !== zoneOf(first))
  if (other !== undefined) {
    throw new MillraceError(
      'USAGE',
      `--auto: expected one time zone, as a schedule has one; '${first.name}' ticks in ${zoneOf(first)}, '${other.name}' in ${zoneOf(other)}`,
      { hint: 'make a schedule for each zone: schedule create NAME --auto --select …' },
    )
  }
  return { crons: [...new Set(due.map(({ cron }) => cron))], timeZone: zoneOf(first) }
}
