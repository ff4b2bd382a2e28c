import { NativeConnection, Worker } from '@temporalio/worker'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { connectionRegistry, MillracePlugin } from '../../src/index.ts'
import { resolveTemporalCli } from '../../src/temporal/temporal-cli.ts'
import * as activities from '../fixtures/own-worker/activities.ts'
import { CONFIG, createProject } from '../helpers/project.ts'
import { sourcePath } from '../helpers/tsx-script.ts'
import { startBuild, startTestServer, TASK_QUEUE, type TestServer } from '../helpers/worker.ts'

const run = promisify(execFile)
const WORKFLOWS = fileURLToPath(new URL('../fixtures/own-worker/workflows.ts', import.meta.url))

describe('MillracePlugin', () => {
  let server: TestServer
  let connection: NativeConnection

  beforeAll(async () => {
    server = await startTestServer()
    connection = await NativeConnection.connect({ address: server.server.address })
  })
  afterAll(async () => {
    await connection.close()
    await server.close()
  })

  test('makes a user’s own worker build, beside workflows and activities of theirs', async () => {
    const root = await project('own')
    const worker = await Worker.create({
      connection,
      taskQueue: TASK_QUEUE,
      workflowsPath: WORKFLOWS,
      activities,
      plugins: [new MillracePlugin({ projects: [root] })],
    })
    await worker.runUntil(async () => {
      const greeting = server.client.workflow.execute('greeting', {
        taskQueue: TASK_QUEUE,
        workflowId: 'greeting',
        args: ['Ada'],
      })
      const build = (await startBuild(server, {})).result()
      expect(await greeting).toBe('Hello, Ada')
      expect(await build).toMatchObject({ project: 'own', status: 'succeeded', promoted: true })
    })
    expect(await rowsAsAnotherProcess(root)).toBe('2')
  })

  test('refuses an activity of the user’s that has the name of one of its own', async () => {
    const options = { connection, taskQueue: TASK_QUEUE, workflowsPath: WORKFLOWS }
    const plugins = [new MillracePlugin({ projects: [await project('clash')] })]
    const mine = { buildModel: async () => 'mine' }
    await expect(Worker.create({ ...options, activities: mine, plugins })).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining("'buildModel'") as string,
    })
  })

  test('works once when it is given to the connection and to the worker', async () => {
    const root = await project('twice')
    const plugin = new MillracePlugin({ projects: [root] })
    const own = await NativeConnection.connect({ address: server.server.address, plugins: [plugin] })
    onTestFinished(() => own.close())
    const worker = await server.startWorker([], { connection: own, plugins: [plugin] })
    try {
      expect(await (await startBuild(server, {})).result()).toMatchObject({ project: 'twice', status: 'succeeded' })
    } finally {
      await worker.stop()
    }
    expect(await rowsAsAnotherProcess(root)).toBe('2')
    expect(connectionRegistry().snapshot().owners).toEqual([])
  })

  test('keeps the connections of one worker alive when another stops, and closes the files with the last', async () => {
    const [first, second] = [await project('first'), await project('second')]
    const one = await server.startWorker([first], { taskQueue: 'first', identity: 'first' })
    const other = await server.startWorker([second], { taskQueue: 'second', identity: 'second' })
    try {
      await expect.poll(() => connectionRegistry().snapshot().owners.sort()).toEqual(['worker first', 'worker second'])
      await buildOn('first')
      await buildOn('second')
      expect(openFiles()).toHaveLength(2)

      await one.stop()
      expect(connectionRegistry().snapshot().owners).toEqual(['worker second'])
      expect(openFiles()).toContain(join(second, 'w.duckdb'))
      await expect(rowsAsAnotherProcess(second)).rejects.toThrow(/Could not set lock on file/)
      expect(await buildOn('second')).toMatchObject({ status: 'succeeded', counts: { unchanged: 2 } })
    } finally {
      await one.stop()
      await other.stop()
    }
    expect(connectionRegistry().snapshot()).toMatchObject({ owners: [], databases: [] })
    expect(await rowsAsAnotherProcess(first)).toBe('2')
    expect(await rowsAsAnotherProcess(second)).toBe('2')
  })

  test('serves two workers at once with one plugin, and one of them after the other has stopped', async () => {
    const root = await project('shared')
    const plugins = [new MillracePlugin({ projects: [root] })]
    const one = await server.startWorker([], { taskQueue: 'first', plugins })
    const other = await server.startWorker([], { taskQueue: 'second', plugins })
    try {
      const building = buildOn('second')
      await one.stop()
      expect(await building).toMatchObject({ status: 'succeeded' })
    } finally {
      await one.stop()
      await other.stop()
    }
  })

  test('tells the projects of one worker apart by their names, and needs one when there are several', async () => {
    const [red, green] = [await project('red'), await project('green')]
    const worker = await server.startWorker([red, green])
    try {
      expect(await (await startBuild(server, { project: 'green' })).result()).toMatchObject({ project: 'green' })
      expect(await (await startBuild(server, { project: 'red' })).result()).toMatchObject({ project: 'red' })
      await expect((await startBuild(server, {})).result()).rejects.toMatchObject({
        cause: { cause: { type: 'USAGE', message: expect.stringContaining('red, green') as string } },
      })
      await expect((await startBuild(server, { project: 'gren' })).result()).rejects.toMatchObject({
        cause: { cause: { type: 'USAGE', message: expect.stringContaining("Did you mean 'green'?") as string } },
      })
    } finally {
      await worker.stop()
    }
  })

  test('warns of a process with too few libuv threads, and says what to set', async () => {
    const before = process.env['UV_THREADPOOL_SIZE']
    onTestFinished(() => {
      if (before === undefined) delete process.env['UV_THREADPOOL_SIZE']
      else process.env['UV_THREADPOOL_SIZE'] = before
    })
    const warnings: string[] = []
    const listen = (warning: Error & { code?: string }): void => {
      if (warning.code === 'MILLRACE_FEW_THREADS') warnings.push(warning.message)
    }
    process.on('warning', listen)
    onTestFinished(() => void process.off('warning', listen))
    const root = await project('threads')

    process.env['UV_THREADPOOL_SIZE'] = '64'
    await (await server.startWorker([root])).stop()
    expect(warnings).toEqual([])
    delete process.env['UV_THREADPOOL_SIZE']
    const warned = once(process, 'warning')
    await (await server.startWorker([root])).stop()
    await warned
    expect(warnings).toEqual([expect.stringContaining('set UV_THREADPOOL_SIZE=64 in the environment')])
  })

  test('lets the Temporal CLI start a build that names nothing', async () => {
    const root = await project('by-hand')
    const worker = await server.startWorker([root])
    try {
      const { path } = await resolveTemporalCli({ onProgress: () => {} })
      const address = ['--address', server.server.address]
      const id = ['--workflow-id', 'started-by-hand']
      const type = ['--type', 'buildProject', '--task-queue', TASK_QUEUE, '--input', '{}']
      await run(path, ['workflow', 'start', ...address, ...id, ...type])
      const { stdout } = await run(path, ['workflow', 'result', ...address, ...id, '--output', 'json'])
      expect(JSON.parse(stdout)).toMatchObject({
        status: 'COMPLETED',
        result: { project: 'by-hand', environment: 'prod', status: 'succeeded', promoted: true },
      })
    } finally {
      await worker.stop()
    }
    expect(basename(root)).not.toBe('by-hand')
    expect(await rowsAsAnotherProcess(root)).toBe('2')
  })

  async function buildOn(taskQueue: string): Promise<unknown> {
    const handle = await server.client.workflow.start('buildProject', {
      taskQueue,
      workflowId: `on-${taskQueue}-${Math.random()}`,
      args: [{}],
    })
    return handle.result()
  }
})

/** Two models; the view `s.rows` has two rows. */
function project(name: string): Promise<string> {
  return createProject({
    'config.yaml': `project: ${name}\n${CONFIG}`,
    'models/source.sql': 'MODEL (name s.source, kind FULL);\nSELECT range AS id FROM range(2)\n',
    'models/rows.sql': 'MODEL (name s.rows, kind VIEW);\nSELECT id FROM s.source\n',
  })
}

function openFiles(): string[] {
  return connectionRegistry()
    .snapshot()
    .databases.filter(({ state }) => state === 'open')
    .map(({ database }) => database)
}

/** Only another process can tell whether this one holds the file. */
async function rowsAsAnotherProcess(root: string): Promise<string> {
  const script = `
    import { DuckDBInstance } from '${sourcePath('node_modules/@duckdb/node-api/lib/index.js')}'
    const instance = await DuckDBInstance.create(process.argv[1], { access_mode: 'READ_ONLY' })
    const connection = await instance.connect()
    console.log(String((await connection.runAndReadAll('SELECT count(*) FROM s.rows')).getRows()[0][0]))`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script, join(root, 'w.duckdb')])
  return stdout.trim()
}
