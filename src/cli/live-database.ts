/** The project's database for verbs that look at tables and build nothing. */
import { existsSync } from 'node:fs'
import type { Lease } from '../connections/lease.ts'
import { MillraceError } from '../errors.ts'
import type { Project } from '../project/project.ts'
import { quoteIdentifier } from '../sql/identifiers.ts'
import { environmentView } from '../sql/physical.ts'
import type { CommandContext } from './command.ts'
import { openGateway, withLeases } from './open-gateway.ts'

/** Waits for a file that another process holds. @throws MillraceError DATABASE when there is none yet; DATABASE_LOCKED. */
export async function withLiveDatabase<T>(
  context: CommandContext,
  { config, root, gateway }: Project,
  work: (lease: Lease) => Promise<T>,
): Promise<T> {
  const { connection } = openGateway(config, root, gateway)
  if (connection.type === 'duckdb' && connection.database !== null && !existsSync(connection.database)) {
    throw new MillraceError(
      'DATABASE',
      `expected the database '${connection.database}' to be there; there is none yet`,
      {
        hint: 'run `build` first, or load the tables that the models read',
      },
    )
  }
  return withLeases(connection, context, async (leases) => work(await leases.in(null)))
}

/** How a query names what models read: a model's view in the environment, or a table. */
export function liveRelation(name: string, { models }: Project, environment: string): string {
  const model = models.find((one) => one.enabled && one.name === name)
  const view = model === undefined ? null : environmentView(model.relation, environment)
  const parts = view === null ? name.split('.') : [view.catalog, view.schema, view.name].filter((part) => part !== null)
  return parts.map(quoteIdentifier).join('.')
}

/** What a query gives: lower-case column → type, in order. */
export async function describeQuery(query: string, lease: Pick<Lease, 'rows'>): Promise<Record<string, string>> {
  const rows = await lease.rows<{ column_name: string; column_type: string }>(`DESCRIBE ${query}`)
  return Object.fromEntries(rows.map((row) => [row.column_name.toLowerCase(), row.column_type]))
}
