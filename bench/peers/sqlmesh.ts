/** SQLMesh: `plan` into an empty database, then `run` with nothing to do; its state is in the same file, as by default. */
import path from 'node:path'
import { timeCommand } from '../measure.ts'
import { createVirtualEnvironment, type VirtualEnvironment } from '../virtual-environment.ts'
import { database, modelFiles } from './model-files.ts'
import { writeFiles, type Peer } from './peer.ts'

const applyScript = path.join(import.meta.dirname, 'sqlmesh-apply.py')

export function createSqlmeshPeer(): Peer {
  let environment: VirtualEnvironment | null = null

  async function run(folder: string, program: string, args: readonly string[]) {
    if (environment === null) throw new Error('The SQLMesh peer is not prepared')
    return timeCommand(environment.program(program), args, { cwd: folder })
  }

  return {
    name: 'SQLMesh',
    command: 'sqlmesh plan --auto-apply --no-prompts; sqlmesh run',
    unchanged: 'skips',
    database,
    leavings: [database, `${database}.wal`, '.cache', 'logs'],
    async prepare() {
      environment = await createVirtualEnvironment('sqlmesh', ['sqlmesh', 'duckdb==1.5.5'])
      const [sqlmesh, duckdb] = await Promise.all(['sqlmesh', 'duckdb'].map(environment.version))
      return `SQLMesh ${sqlmesh}, duckdb ${duckdb}, its default of one task at a time`
    },
    async write(workload, folder, start) {
      await writeFiles(folder, modelFiles(workload, start, 'disable_anonymized_analytics: true\n'))
    },
    async build(folder) {
      const { wallMs } = await run(folder, 'sqlmesh', ['plan', '--auto-apply', '--no-prompts'])
      return { commandMs: wallMs, buildMs: null }
    },
    async rebuild(folder) {
      const { wallMs, stdout } = await run(folder, 'sqlmesh', ['run'])
      if (!stdout.includes('No models are ready to run')) throw new Error(`SQLMesh had work to do:\n${stdout}`)
      return { commandMs: wallMs, buildMs: null }
    },
    async buildOnly(folder) {
      const { stdout } = await run(folder, 'python', [applyScript, folder])
      const buildMs = Number(stdout.trim().split('\n').at(-1))
      if (!(buildMs > 0)) throw new Error(`Expected a duration as the last line, got '${stdout.slice(-500)}'`)
      return buildMs
    },
  }
}
