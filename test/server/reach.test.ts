/** Which server and which worker a command may count on, and what it says when there is none. */
import { hostname } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCli, startWorker } from '../helpers/cli.ts'
import { errorOf, json } from '../helpers/cli-answers.ts'
import { createProject, query, TWO_MODELS } from '../helpers/project.ts'
import { connectTo, createSlowProject, untilServerFile, untilWriting } from '../helpers/slow-build.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

describe('on a server that is named', () => {
  let server: TestServer
  let address: string
  beforeAll(async () => {
    server = await startTestServer()
    address = server.server.address
  })
  afterAll(() => server.close())

  it('a build without a worker ends with exit 3 after --wait, and starts nothing', async () => {
    const root = await createProject(TWO_MODELS)
    const result = await runCli(['build', root, '--json', '--address', address, '--wait', '2'])
    expect(result, result.stderr).toMatchObject({ code: 3 })
    expect(errorOf(result)).toMatchObject({ code: 'NO_WORKER' })
    expect(errorOf(result).message).toContain(`millrace-${basename(root)}`)
    const handle = server.client.workflow.getHandle(`millrace/${basename(root)}/prod`)
    await expect(handle.describe()).rejects.toThrow(/not found/i)
  })

  it('a worker that was killed a moment ago does not count as one', async () => {
    const root = await createProject(TWO_MODELS)
    const worker = startWorker([root, '--address', address])
    await worker.seen('Worker on task queue')
    await runCli(['build', root, '--quiet', '--address', address])
    worker.process.kill('SIGKILL')
    await worker.ended
    const result = await runCli(['build', root, '--json', '--address', address, '--wait', '1'])
    expect(result, result.stderr).toMatchObject({ code: 3 })
    expect(errorOf(result)).toMatchObject({ code: 'NO_WORKER' })
  })

  it('--detach prints the workflow id and leaves the build to the worker', async () => {
    const root = await createSlowProject()
    const worker = startWorker([root, '--address', address])
    const workflowId = `millrace/${basename(root)}/prod`
    const detached = await runCli(['build', root, '--json', '--detach', '--address', address])
    expect(detached, detached.stderr).toMatchObject({ code: 0 })
    expect(json(detached)).toEqual({ workflowId })
    await untilWriting(server.client, workflowId)
    expect(await runCli(['cancel', root, '--address', address])).toMatchObject({ code: 0 })
    worker.process.kill('SIGINT')
    await worker.ended
  })

  it('a worker with another copy of the project refuses, and the models that differ are named', async () => {
    const files = (own: Record<string, string>) => ({
      'config.yaml': `project: twice\ngateways: { local: { connection: { type: duckdb, database: w.duckdb } } }\n`,
      ...TWO_MODELS,
      ...own,
    })
    const here = await createProject(
      files({
        'models/b.sql': `${TWO_MODELS['models/b.sql']} WHERE x > 0`,
        'models/new.sql': 'MODEL (name s.new);\nSELECT 1 AS n',
      }),
    )
    const there = await createProject(files({ 'models/old.sql': 'MODEL (name s.old);\nSELECT 1 AS o' }))
    const worker = startWorker([there, '--address', address])
    const refused = await runCli(['build', here, '--json', '--address', address])
    expect(refused, refused.stderr).toMatchObject({ code: 2 })
    const { code, message, hint } = errorOf(refused)
    expect(code).toBe('PROJECT_MISMATCH')
    expect(message).toContain("(differ: 's.b'; only in this folder: 's.new'; only in the worker's copy: 's.old')")
    expect(`${message}${hint}`).not.toMatch(/[0-9a-f]{12}/)
    worker.process.kill('SIGINT')
    await worker.ended
    await expect(query(join(there, 'w.duckdb'), 'FROM millrace.builds')).rejects.toThrow(/does not exist/)
  })
})

describe('beside a worker of the same project', () => {
  it('a build leaves the work to it: two processes would only fight for the file', async () => {
    const root = await createProject(TWO_MODELS)
    const worker = startWorker([root])
    await worker.seen('Web UI')
    const client = await connectTo((await untilServerFile(root)).address)
    for (const refresh of [[], ['--full-refresh'], ['--full-refresh']]) {
      const result = await runCli(['build', root, '--json', ...refresh])
      expect(result, result.stderr).toMatchObject({ code: 0 })
      const { events } = await client.workflow.getHandle(`millrace/${basename(root)}/prod`).fetchHistory()
      const workers = (events ?? []).flatMap(
        ({ activityTaskStartedEventAttributes: started }) => started?.identity ?? [],
      )
      expect(new Set(workers)).toEqual(
        new Set([`millrace@${hostname()}:${worker.process.pid}:millrace-${basename(root)}`]),
      )
    }
    worker.process.kill('SIGINT')
    expect(await worker.ended).toMatchObject({ code: 0 })
  })
})

describe('without a server', () => {
  it('a named address that does not answer is an error, never replaced by another server: exit 3', async () => {
    const root = await createProject(TWO_MODELS)
    const [result, fromEnvironment] = await Promise.all([
      runCli(['build', root, '--json', '--address', '127.0.0.1:1']),
      runCli(['cancel', root, '--json'], { TEMPORAL_ADDRESS: '127.0.0.1:1' }),
    ])
    expect(result, result.stderr).toMatchObject({ code: 3 })
    expect(errorOf(result)).toMatchObject({ code: 'TEMPORAL_UNAVAILABLE' })
    expect(errorOf(result).message).toContain('127.0.0.1:1')
    expect(fromEnvironment).toMatchObject({ code: 3 })
    expect(errorOf(fromEnvironment)).toMatchObject({ code: 'TEMPORAL_UNAVAILABLE' })
  })

  it('--detach is refused, and starts nothing', async () => {
    const root = await createProject(TWO_MODELS)
    const result = await runCli(['build', root, '--json', '--detach'])
    expect(result, result.stderr).toMatchObject({ code: 3 })
    expect(errorOf(result)).toMatchObject({ code: 'TEMPORAL_UNAVAILABLE' })
    expect(errorOf(result).message).toContain('--detach needs a server that outlives the command')
    await expect(query(join(root, 'w.duckdb'), 'FROM millrace.builds')).rejects.toThrow(/does not exist/)
  })
})
