/** Millrace: `build` with an embedded Temporal server that starts and ends with the command. */
import { connect } from 'node:net'
import path from 'node:path'
import type { BuildReport } from '../../src/payloads.ts'
import { timeCommand } from '../measure.ts'
import { repositoryFolder } from '../work-folder.ts'
import { database, modelFiles } from './model-files.ts'
import { writeFiles, type Peer, type Timing } from './peer.ts'

/** The published form: compiled, run by Node alone. */
export function createMillracePeer(): Peer {
  return createPeer('Millrace', ['node', 'dist/bin.js'], async () => {
    await timeCommand('npm', ['run', 'build'], { cwd: repositoryFolder })
  })
}

/** The form used in a checkout: TypeScript, compiled while it starts. */
export function createMillraceCheckoutPeer(): Peer {
  return createPeer('Millrace, tsx', ['npx', 'tsx', 'client.ts'], () => Promise.resolve())
}

function createPeer(name: string, [program, ...args]: [string, ...string[]], compile: () => Promise<void>): Peer {
  async function run(folder: string): Promise<Timing & { report: BuildReport }> {
    // From the repository's root: that is where the programs are; the project is named by its folder.
    const { wallMs, stdout } = await timeCommand(program, [...args, 'build', folder, '--json'], {
      cwd: repositoryFolder,
    })
    const report = JSON.parse(stdout) as BuildReport
    if (report.status !== 'succeeded') throw new Error(`${name}: the build ended as '${report.status}'`)
    return { commandMs: wallMs, buildMs: report.durationMs, report }
  }

  return {
    name,
    command: [program, ...args, 'build', 'PROJECT', '--json'].join(' '),
    unchanged: 'skips',
    database,
    leavings: [database, `${database}.wal`, '.millrace'],
    async prepare() {
      await refuseRunningServer()
      await compile()
      return `${name}: ${[program, ...args, 'build'].join(' ')}, embedded Temporal server, defaults`
    },
    async write(workload, folder, start) {
      await writeFiles(folder, modelFiles(workload, start))
    },
    async build(folder) {
      const { report, ...timing } = await run(folder)
      expectCount(report, 'success', report.models.length)
      return timing
    },
    async rebuild(folder) {
      const { report, ...timing } = await run(folder)
      expectCount(report, 'success', 0)
      return timing
    },
  }
}

function expectCount({ counts, project }: BuildReport, name: keyof BuildReport['counts'], expected: number): void {
  if (counts[name] === expected) return
  throw new Error(
    `${path.basename(project)}: expected ${expected} models with '${name}', got ${JSON.stringify(counts)}`,
  )
}

/** A server at the default address would be used instead of an embedded one: that would not be a start from cold. */
async function refuseRunningServer(): Promise<void> {
  const answered = await new Promise<boolean>((resolve) => {
    const socket = connect(7233, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
  if (answered) throw new Error('Something listens at 127.0.0.1:7233; stop it, so that Millrace starts from cold')
}
