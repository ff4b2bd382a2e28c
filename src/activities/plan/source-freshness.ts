/** How old the sources of a build are: tables that its models read and nobody here builds, as millrace.yaml limits them. */
import type { Lease } from '../../connections/lease.ts'
import { MillraceError, ProjectError } from '../../errors.ts'
import type { Plan } from '../../graph/plan.ts'
import { toIso } from '../../graph/time.ts'
import type { SourceReport } from '../../payloads.ts'
import type { FreshnessSettings } from '../../project/millrace-settings.ts'
import type { Model } from '../../project/model.ts'
import type { Project } from '../../project/project.ts'
import { quoteIdentifier, quoteRelation } from '../../sql/identifiers.ts'

type Session = Pick<Lease, 'rows'>

/**
 * Those that a model reads which has something to build, directly or through embedded models.
 * @param session of the main database; null when there is none yet, nor any source.
 * @throws MillraceError CONFIG for a column that is not there or tells no time.
 */
export async function readFreshness(
  project: Project,
  plan: Plan,
  session: Session | null,
  executionMs: number,
): Promise<SourceReport[]> {
  const { freshness } = project.config.millrace
  if (freshness.length === 0 || session === null) return []
  const read = sourcesOf(project, plan)
  const reports: SourceReport[] = []
  for (const settings of freshness) {
    const name = sourceName(settings, project)
    if (!read.has(name)) continue
    reports.push(toReport(name, settings, { newestMs: await readNewest(name, settings, session), executionMs }))
  }
  return reports
}

/** @throws ProjectError STALE_SOURCE for each that is older than its `error_after`. */
export function assertFresh(sources: readonly SourceReport[]): void {
  const stale = sources.filter(({ status }) => status === 'stale')
  if (stale.length === 0) return
  throw new ProjectError(
    stale.map(
      ({ message }) =>
        new MillraceError('STALE_SOURCE', message ?? '', {
          hint: 'load it anew, or change its error_after in millrace.yaml',
        }),
    ),
  )
}

/** What a build says of sources that are older than their `warn_after`. */
export function freshnessNotices(sources: readonly SourceReport[]): string[] {
  return sources.flatMap(({ status, message }) => (status === 'warn' && message !== null ? [message] : []))
}

function sourcesOf({ models }: Project, plan: Plan): Set<string> {
  const byName = new Map(models.filter(({ enabled }) => enabled).map((model) => [model.name, model]))
  const found = new Set<string>()
  const visit = (model: Model | undefined): void => {
    for (const name of model?.depends_on ?? []) {
      const parent = byName.get(name)
      if (parent === undefined) found.add(name)
      else if (parent.kind.name === 'EMBEDDED') visit(parent)
    }
  }
  for (const { name, batches } of plan.models) if (batches.length > 0) visit(byName.get(name))
  return found
}

/** @throws MillraceError CONFIG for a model of the project: what it builds is as old as its build. */
function sourceName({ model }: FreshnessSettings, { defaultCatalog, models }: Project): string {
  const written = model.toLowerCase()
  const prefix = `${defaultCatalog.toLowerCase()}.`
  const name = written.startsWith(prefix) && written.split('.').length === 3 ? written.slice(prefix.length) : written
  if (!models.some((one) => one.enabled && one.name === name)) return name
  throw new MillraceError('CONFIG', `freshness: expected a table that nobody here builds; '${model}' is a model`, {
    file: 'millrace.yaml',
  })
}

async function readNewest(name: string, { column }: FreshnessSettings, session: Session): Promise<number | null> {
  const [table = '', schema = null, catalog = null] = name.split('.').reverse()
  const from = quoteRelation({ catalog, schema, name: table })
  const newest = `max(${quoteIdentifier(column)})`
  try {
    const [described] = await session.rows<{ column_type: string }>(`DESCRIBE SELECT ${newest} FROM ${from}`)
    const time = described?.column_type.startsWith('TIMESTAMP') === true ? newest : `CAST(${newest} AS TIMESTAMP)`
    const [row] = await session.rows<{ ms: number | null }>(`SELECT epoch_ms(${time}) AS ms FROM ${from}`)
    return row?.ms ?? null
  } catch (error) {
    const said = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
    throw new MillraceError('CONFIG', `freshness of '${name}': expected a column '${column}' of times; got: ${said}`, {
      file: 'millrace.yaml',
      cause: error,
    })
  }
}

function toReport(
  name: string,
  { warnAfterMs, errorAfterMs, column }: FreshnessSettings,
  { newestMs, executionMs }: { newestMs: number | null; executionMs: number },
): SourceReport {
  const age = newestMs === null ? Infinity : executionMs - newestMs
  const limit = age > (errorAfterMs ?? Infinity) ? errorAfterMs : age > (warnAfterMs ?? Infinity) ? warnAfterMs : null
  const newest = newestMs === null ? null : toIso(newestMs)
  // Without rows nothing is known but that it is older than any limit.
  const exceeded = newestMs === null ? (errorAfterMs ?? warnAfterMs) : limit
  if (exceeded === null) return { name, status: 'fresh', newest, message: null }
  const got = newest === null ? 'it has no rows' : `its newest ${column} is ${newest}, ${length(age)} before`
  return {
    name,
    status: exceeded === errorAfterMs ? 'stale' : 'warn',
    newest,
    message: `expected '${name}' to be at most ${length(exceeded)} old at ${toIso(executionMs)}; ${got}`,
  }
}

/** `1 d 6 h`, `90 s`: the two largest units. */
function length(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const
  const first = Math.max(
    0,
    parts.findIndex(([count]) => count > 0),
  )
  const shown = parts.slice(first, first + 2).filter(([count], index) => count > 0 || index === 0)
  return shown.map(([count, unit]) => `${count} ${unit}`).join(' ')
}
