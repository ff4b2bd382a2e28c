/** The folder format that Millrace and SQLMesh share. */
import type { Workload } from '../generate.ts'

/** The database file that `modelFiles` configures. */
export const database = 'warehouse.duckdb'

/** `config.yaml` and one file per model, by path. `settings` are further lines of the configuration. */
export function modelFiles({ schema, models }: Workload, start: string, settings = ''): Map<string, string> {
  const files = new Map(
    models.map(({ name, query }) => [
      `models/${name}.sql`,
      `MODEL (\n  name ${schema}.${name},\n  kind FULL\n);\n\n${query((parent) => `${schema}.${parent}`)}\n`,
    ]),
  )
  files.set(
    'config.yaml',
    `gateways:
  local:
    connection: { type: duckdb, database: ${database} }
default_gateway: local
model_defaults: { dialect: duckdb, start: ${start}, cron: '@daily' }
${settings}`,
  )
  return files
}
