/** dbt-core with dbt-duckdb: every model a table, 4 threads. It keeps no record of what is built, so it builds all again. */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { timeCommand } from '../measure.ts'
import { createVirtualEnvironment, type VirtualEnvironment } from '../virtual-environment.ts'
import { writeFiles, type Peer, type Timing } from './peer.ts'

const database = 'warehouse.duckdb'

export function createDbtPeer(): Peer {
  let environment: VirtualEnvironment | null = null

  async function run(folder: string): Promise<Timing> {
    if (environment === null) throw new Error('The dbt peer is not prepared')
    const { wallMs } = await timeCommand(environment.program('dbt'), ['run', '--profiles-dir', '.'], { cwd: folder })
    const results: unknown = JSON.parse(await readFile(path.join(folder, 'target', 'run_results.json'), 'utf8'))
    return { commandMs: wallMs, buildMs: elapsedMs(results) }
  }

  return {
    name: 'dbt-duckdb',
    command: 'dbt run',
    unchanged: 'rebuilds',
    database,
    leavings: [database, `${database}.wal`, 'target', 'logs'],
    async prepare() {
      environment = await createVirtualEnvironment('dbt', ['dbt-core<1.11', 'dbt-duckdb', 'duckdb==1.5.5'])
      const [core, adapter, duckdb] = await Promise.all(['dbt-core', 'dbt-duckdb', 'duckdb'].map(environment.version))
      return `dbt-core ${core}, dbt-duckdb ${adapter}, duckdb ${duckdb}, 4 threads`
    },
    async write({ schema, models }, folder) {
      const files = new Map(
        models.map(({ name, query }) => [`models/${name}.sql`, `${query((parent) => `{{ ref('${parent}') }}`)}\n`]),
      )
      files.set('dbt_project.yml', projectYaml)
      files.set('profiles.yml', profilesYaml(schema))
      await writeFiles(folder, files)
    },
    build: run,
    rebuild: run,
  }
}

function elapsedMs(results: unknown): number {
  const elapsed = (results as { elapsed_time?: unknown }).elapsed_time
  if (typeof elapsed !== 'number') throw new Error('Expected elapsed_time in run_results.json')
  return elapsed * 1000
}

const projectYaml = `name: bench
version: '1.0'
profile: bench
model-paths: [models]
models:
  bench:
    +materialized: table
flags:
  send_anonymous_usage_stats: false
`

function profilesYaml(schema: string): string {
  return `bench:
  target: local
  outputs:
    local: { type: duckdb, path: ${database}, schema: ${schema}, threads: 4 }
`
}
