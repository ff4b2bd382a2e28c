/** `state export|import FILE`: what a project's database says is built, for moves and backups. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { CatalogLeases } from '../../activities/catalog-leases.ts'
import { writableCatalogs } from '../../activities/plan/model-catalogs.ts'
import type { DuckDBConfig } from '../../connections/config.ts'
import { classifySqlError } from '../../connections/sql-errors.ts'
import { MillraceError, nearest } from '../../errors.ts'
import { STATE_VERSION } from '../../state/schema.ts'
import { STATE_TABLES, type ImportedState, type StateTables } from '../../state/transfer.ts'
import { exportStates, importStates } from '../catalog-states.ts'
import type { CommandContext, Verb } from '../command.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { readGateway, withLeases, type Gateway } from '../open-gateway.ts'
import { readStateFile, writeStateFile } from '../state-file.ts'

const USAGE = 'export FILE | import FILE'

export const stateVerb: Verb = {
  async run(context) {
    const [action = '', file = ''] = context.args
    const run = ACTIONS[action]
    if (run === undefined) {
      const near = nearest(action, Object.keys(ACTIONS))
      throw new MillraceError('USAGE', `state: expected ${USAGE}; got '${action}'`, {
        hint: near === null ? 'See state --help.' : `Did you mean '${near}'?`,
      })
    }
    return run(context, resolve(file))
  },
}

const ACTIONS: Readonly<Record<string, (context: CommandContext, file: string) => Promise<ExitCode>>> = {
  export: exportTo,
  import: importFrom,
}

async function exportTo(context: CommandContext, file: string): Promise<ExitCode> {
  const gateway = await readGateway(context)
  const { project } = gateway.config
  const { connection } = gateway
  // Opening a file that is not there would make it.
  if (connection.type === 'duckdb' && !mayBeThere(connection)) throw noState(gateway)
  const states = await inDatabases(context, gateway, (leases) =>
    exportStates(leases, project, writableCatalogs(connection.catalogs)),
  )
  if (states === null) throw noState(gateway)
  const { tables, catalogs } = states
  await writeStateFile(file, {
    project,
    exportedAt: new Date().toISOString(),
    stateVersion: STATE_VERSION,
    tables,
    ...(Object.keys(catalogs).length === 0 ? {} : { catalogs }),
  })
  const rows = countRows([tables, ...Object.values(catalogs)])
  context.output.answer(`Exported the state of project '${project}' to ${file}: ${describe(rows)}`, {
    project,
    file,
    stateVersion: STATE_VERSION,
    rows,
  })
  return EXIT.done
}

async function importFrom(context: CommandContext, file: string): Promise<ExitCode> {
  const gateway = await readGateway(context)
  const { project } = gateway.config
  const content = await readStateFile(file)
  if (content.project !== project) {
    throw new MillraceError(
      'USAGE',
      `expected a state of project '${project}' in ${file}; it is of '${content.project}'`,
      {
        hint: `State belongs to the project's name: set \`project: ${content.project}\` in config.yaml if this is that project.`,
      },
    )
  }
  const imported = await inDatabases(context, gateway, (leases) =>
    importStates(leases, content, writableCatalogs(gateway.connection.catalogs)),
  )
  for (const line of remarks(imported)) context.output.notice(line)
  context.output.answer(`Imported the state of project '${project}' from ${file}: ${describe(imported.imported)}`, {
    project,
    file,
    stateVersion: STATE_VERSION,
    rows: imported.imported,
    missingTables: imported.missingTables,
    missingViews: imported.missingViews,
  })
  return EXIT.done
}

/** What is in memory has no state that outlives a command. */
function mayBeThere({ database, defaultCatalog }: DuckDBConfig): boolean {
  return database === null ? defaultCatalog !== null : existsSync(database)
}

function countRows(states: readonly StateTables[]): Record<string, number> {
  return Object.fromEntries(
    STATE_TABLES.map((table) => [table, states.reduce((sum, state) => sum + (state[table]?.length ?? 0), 0)]),
  )
}

/** Errors of the database become the user's. */
async function inDatabases<T>(
  context: CommandContext,
  { connection }: Gateway,
  work: (leases: CatalogLeases) => Promise<T>,
): Promise<T> {
  try {
    return await withLeases(connection, context, work)
  } catch (error) {
    if (error instanceof MillraceError) throw error
    const { message, hint } = classifySqlError(error)
    throw new MillraceError('SQL', message, { cause: error, ...(hint === null ? {} : { hint }) })
  }
}

/** Names shown of each; the JSON document has all. */
const SHOWN = 5

function remarks({ missingTables, missingViews }: ImportedState): string[] {
  const some = (names: readonly string[]): string =>
    names.slice(0, SHOWN).join(', ') + (names.length > SHOWN ? ` and ${names.length - SHOWN} more` : '')
  return [
    ...(missingTables.length === 0
      ? []
      : [`not in this database, so they count as not built, and the next build makes them: ${some(missingTables)}`]),
    ...(missingViews.length === 0 ? [] : [`views the next build makes anew: ${some(missingViews)}`]),
  ]
}

function noState({ config, name }: Gateway): MillraceError {
  return new MillraceError(
    'USAGE',
    `expected a state of project '${config.project}' behind gateway '${name}'; there is none`,
    {
      hint: 'The first `build` makes it; --gateway chooses another database.',
    },
  )
}

function describe(rows: Record<string, number>): string {
  const of = (table: string): number => rows[table] ?? 0
  return `versions: ${of('versions')}, recorded intervals: ${of('ledger')}, environments: ${of('environments')}, builds: ${of('builds')}`
}
