/** Every command of the operating guide, in its order, on a project and a server of its own. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { resolveTemporalCli } from '../../src/temporal/temporal-cli.ts'
import { freePort } from '../helpers/free-port.ts'
import { CONFIG, writeFiles } from '../helpers/project.ts'
import { until } from '../helpers/slow-build.ts'
import { sourcePath } from '../helpers/tsx-script.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

const WORKFLOW_ID = 'millrace/warehouse/prod'
const SOUND = 'MODEL (name s.a, kind FULL);\nSELECT 1 AS x'
const REPAIRED = 'MODEL (name s.a, kind FULL);\nSELECT 2 AS x'
const BROKEN = "MODEL (name s.a, kind FULL);\nSELECT error('no such luck') AS x"
const ENDLESS = `MODEL (name s.a, kind FULL);\nSELECT count(*) AS x FROM range(1000000) AS l(x), range(1000000) AS r(y) WHERE hash(x, y) % 3 = 1`

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

test('every command of the operating guide does what it says', async () => {
  const shell = await createShell()
  const project = join(shell.folder, 'warehouse')
  const model = (text: string): Promise<void> => writeFiles(project, { 'models/a.sql': text })
  await writeFiles(project, { 'config.yaml': CONFIG })
  await model(SOUND)
  let worker: ChildProcess | null = null
  let serving = ''

  /** What has happened when somebody comes to need a block. */
  async function happensBefore(block: string): Promise<void> {
    if (block.includes('state export')) {
      worker?.kill('SIGTERM')
      if (worker !== null) expect(await once(worker, 'close')).toEqual([0, null])
    } else if (block.includes('MillraceStatus')) {
      worker = await shell.serve(serving)
      await model(BROKEN)
      await expect((await startBuild()).result()).rejects.toThrow('failed')
      // It is in the list a moment after its end.
      await until('the build in the list', async () => {
        const { count } = await server.client.workflow.count("MillraceStatus = 'failed'")
        return count > 0 ? true : null
      })
    } else if (block.includes('millrace retry')) {
      await model(REPAIRED)
    } else if (block.includes('workflow describe')) {
      await startEndless()
    } else if (block.includes('workflow terminate')) {
      await startEndless()
      worker?.kill('SIGKILL')
    } else if (block.includes('millrace build') && ran.some((earlier) => earlier.includes('workflow terminate'))) {
      await model(SOUND)
      worker = await shell.serve(serving)
    }
  }

  async function startEndless(): Promise<void> {
    await model(ENDLESS)
    const handle = await startBuild()
    await until('s.a running', async () => {
      const { raw } = await handle.describe()
      return raw.pendingActivities?.some(({ activityId }) => activityId === 's.a') === true ? true : null
    })
  }

  const ran: string[] = []
  const outputs: [string, string][] = []
  for (const block of await readBlocks()) {
    await happensBefore(block)
    if (block.includes('millrace worker')) {
      serving = block
      worker = await shell.serve(block)
    } else {
      outputs.push([block, await shell.run(block)])
    }
    ran.push(block)
  }

  expect(ran).toHaveLength(11)
  const outputOf = (part: string): string => outputs.find(([block]) => block.includes(part))?.[1] ?? ''
  expect(outputOf('task-queue describe')).toMatch(/millrace@\S+:\d+:millrace-warehouse/)
  expect(outputOf('MillraceStatus')).toContain(WORKFLOW_ID)
  expect(outputOf('millrace status')).toContain('no such luck')
  expect(outputOf('millrace retry')).toContain('promoted')
  expect(outputOf('workflow describe')).toContain('s.a')
  // The last of the guide: after all that, the folder is what it was at first.
  expect(outputs.at(-1)?.[1]).toContain('promoted')
})

/** As the command does it. */
async function startBuild() {
  return server.client.workflow.start('buildProject', {
    taskQueue: 'millrace-warehouse',
    workflowId: WORKFLOW_ID,
    args: [{ project: 'warehouse' }],
  })
}

/** The commands of the guide: other languages are files. */
async function readBlocks(): Promise<string[]> {
  const text = await readFile(sourcePath('docs/operating.md'), 'utf8')
  expect([...text.matchAll(/^```(\w*)$/gm)].map(([, language]) => language).filter((name) => name !== '')).toEqual(
    expect.not.arrayContaining(['bash', 'shell', 'console']),
  )
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block)
}

interface Shell {
  folder: string
  /** Rejects with what it has written when it does not end with 0. */
  run(script: string): Promise<string>
  /** Resolves when the worker asks for work. */
  serve(script: string): Promise<ChildProcess>
}

/** A folder in which `millrace` and `temporal` are there, as after an installation. */
async function createShell(): Promise<Shell> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-operating-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const bin = join(folder, 'bin')
  await mkdir(bin)
  const command = `exec '${process.execPath}' --import '${sourcePath('node_modules/tsx/dist/loader.mjs')}' '${sourcePath('src/bin.ts')}' "$@"`
  await writeFile(join(bin, 'millrace'), `#!/bin/sh\n${command}\n`)
  await chmod(join(bin, 'millrace'), 0o755)
  await symlink((await resolveTemporalCli({ onProgress: () => {} })).path, join(bin, 'temporal'))
  const env = {
    ...process.env,
    UV_THREADPOOL_SIZE: '64',
    PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}`,
    TEMPORAL_ADDRESS: server.server.address,
  }
  const metrics = await freePort()

  function start(script: string): { child: ChildProcess; output: () => string } {
    const free = script.replaceAll(':9464', `127.0.0.1:${metrics}`)
    // Replaced by its last command, so that a signal reaches that.
    const child = spawn('sh', ['-ec', free.replace(/^(millrace worker)/m, 'exec $1')], {
      cwd: folder,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    }
    onTestFinished(() => void child.kill('SIGKILL'))
    return { child, output: () => output }
  }

  return {
    folder,
    async run(script) {
      const { child, output } = start(script)
      const code = await new Promise((resolve) => child.once('close', resolve))
      if (code !== 0) throw new Error(`${script}ended with ${String(code)}:\n${output()}`)
      return output()
    },
    async serve(script) {
      const { child, output } = start(script)
      await until('a worker', () => {
        if (child.exitCode !== null) throw new Error(`the worker ended with ${child.exitCode}:\n${output()}`)
        return output().includes('Worker on task queue') ? true : null
      })
      return child
    },
  }
}
