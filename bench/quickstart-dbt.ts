/**
 * The quickstart's models as a dbt project: the same seed, tables and view. dbt's own tests stand for the audits that have one
 * (unique, not_null, accepted_values): it checks less than Millrace does. It has no batches: the daily table is built at once.
 */
import { copyFile, readdir, readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { timeCommand } from './measure.ts'
import { writeFiles } from './peers/peer.ts'
import { createVirtualEnvironment } from './virtual-environment.ts'
import { repositoryFolder } from './work-folder.ts'

const example = path.join(repositoryFolder, 'examples', 'quickstart')
const MATERIALIZED: Record<string, string> = { orders: 'view', paid_orders: 'ephemeral' }
const DAILY_RANGE = "BETWEEN DATE '2024-03-01' AND DATE '2024-03-10'"

export async function createQuickstartDbt(folder: string): Promise<{ build: () => Promise<number> }> {
  const environment = await createVirtualEnvironment('dbt', ['dbt-core<1.11', 'dbt-duckdb', 'duckdb==1.5.5'])
  await rm(folder, { recursive: true, force: true })
  await writeFiles(folder, await projectFiles())
  await copyFile(path.join(example, 'seeds', 'orders.csv'), path.join(folder, 'seeds', 'raw_orders.csv'))
  return {
    async build() {
      for (const name of ['warehouse.duckdb', 'warehouse.duckdb.wal', 'target', 'logs']) {
        await rm(path.join(folder, name), { recursive: true, force: true })
      }
      const { wallMs } = await timeCommand(environment.program('dbt'), ['build', '--profiles-dir', '.'], {
        cwd: folder,
      })
      return wallMs
    },
  }
}

async function projectFiles(): Promise<Map<string, string>> {
  const files = new Map([
    ['dbt_project.yml', PROJECT],
    ['profiles.yml', PROFILES],
    ['models/schema.yml', TESTS],
    ['seeds/.keep', ''],
  ])
  for (const file of await readdir(path.join(example, 'models'))) {
    const name = path.basename(file, '.sql')
    if (name !== 'raw_orders')
      files.set(`models/${file}`, toDbt(name, await readFile(path.join(example, 'models', file), 'utf8')))
  }
  return files
}

/** What follows the MODEL block, in dbt's words. */
function toDbt(name: string, text: string): string {
  const query = text
    .slice(text.indexOf(');\n') + 3)
    .replaceAll(/\bshop\.(\w+)/g, (_, parent: string) => `{{ ref('${parent}') }}`)
    .replaceAll('BETWEEN @start_date AND @end_date', DAILY_RANGE)
    .replaceAll('@tax_percent', '10')
  return `{{ config(materialized='${MATERIALIZED[name] ?? 'table'}') }}\n${query}`
}

const PROJECT = `name: quickstart
version: '1.0'
profile: quickstart
flags: { send_anonymous_usage_stats: false }
seeds:
  quickstart:
    +column_types: { order_id: int, ordered_at: timestamp, quantity: int, unit_price: 'decimal(8, 2)' }
`

const PROFILES = `quickstart:
  target: local
  outputs:
    local: { type: duckdb, path: warehouse.duckdb, schema: shop, threads: 4 }
`

const TESTS = `version: 2
seeds:
  - name: raw_orders
    columns:
      - { name: order_id, tests: [unique] }
      - { name: ordered_at, tests: [not_null] }
      - { name: product, tests: [not_null] }
      - { name: quantity, tests: [not_null] }
      - { name: unit_price, tests: [not_null] }
      - { name: status, tests: [{ accepted_values: { values: [paid, cancelled, refunded] } }] }
models:
  - name: daily_sales
    columns: [{ name: order_date, tests: [unique] }]
  - name: product_sales
    columns: [{ name: product, tests: [unique] }]
`
