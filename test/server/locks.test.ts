/** Two commands, workers or strangers that want the same environment or the same file. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { basename, join } from 'node:path'
import { ApplicationFailure } from '@temporalio/common'
import { type Client, WorkflowFailedError } from '@temporalio/client'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { BuildReport, PlanReport } from '../../src/payloads.ts'
import { runCli, startCli, startWorker } from '../helpers/cli.ts'
import { errorOf, json } from '../helpers/cli-answers.ts'
import { createProject, query, TWO_MODELS, writeFiles } from '../helpers/project.ts'
import { connectTo, createSlowProject, leftovers, until, untilServerFile, untilWriting } from '../helpers/slow-build.ts'
import { sourcePath } from '../helpers/tsx-script.ts'
import { startTestServer } from '../helpers/worker.ts'

/** A process that has nothing to do with Millrace and has the file open. */
async function holdFile(file: string): Promise<{ pid: number; letGo: () => Promise<void> }> {
  const holder = spawn(
    process.execPath,
    ['--import', 'tsx', sourcePath('test/connections/processes/hold-file.ts'), file],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  const closed = once(holder, 'close')
  onTestFinished(() => void holder.kill('SIGKILL'))
  await once(holder.stdout, 'data')
  return {
    pid: holder.pid ?? 0,
    letGo: async () => {
      holder.stdin.end()
      await closed
    },
  }
}

describe('while a build is in mid-query', () => {
  async function startSlowBuild() {
    const root = await createSlowProject()
    const command = startCli(['build', root, '--json'])
    await command.seen('Web UI')
    const client = await connectTo((await untilServerFile(root)).address)
    const workflowId = `millrace/${basename(root)}/prod`
    const handle = client.workflow.getHandle(workflowId)
    await untilWriting(client, workflowId)
    const { runId } = await handle.describe()
    return { root, command, client, workflowId, runId, handle }
  }

  /** The build went on as if nobody had asked for anything: cancelled now, it has done and left what it should. */
  async function expectUndisturbed({ root, command, handle, runId }: Awaited<ReturnType<typeof startSlowBuild>>) {
    await handle.cancel()
    const result = await command.ended
    expect(result.code).toBe(1)
    expect(json(result) as BuildReport).toMatchObject({
      runId,
      status: 'canceled',
      counts: { success: 1, canceled: 3, error: 0 },
    })
    expect(await leftovers(root)).toEqual({ tables: ['s__fast'], ledger: ['s.fast'], views: [], running: 0 })
  }

  it('a second one of its environment is refused with the name of the first, under whatever workflow id it comes', async () => {
    const build = await startSlowBuild()
    const { root, client, workflowId, runId } = build
    const second = await runCli(['build', root, '--json'])
    expect(second.code).toBe(2)
    expect(errorOf(second)).toMatchObject({ code: 'BUILD_RUNNING' })
    expect(errorOf(second).message).toContain(`'${workflowId}' (run ${runId})`)

    const failure = await failureOf(client, basename(root), 'of-my-own')
    expect(failure.type).toBe('BUILD_RUNNING')
    expect(failure.message).toContain(`'${workflowId}' (run ${runId})`)
    await expectUndisturbed(build)
  })

  it('plan and status go through the process that holds the file; models, graph and render need nobody', async () => {
    const build = await startSlowBuild()
    const { root, runId } = build
    const free = [
      ['models', root],
      ['graph', root],
      ['render', root, 's.after'],
    ].map((args) => runCli([...args, '--json']))
    const [planned, status] = await Promise.all([runCli(['plan', root, '--json']), runCli(['status', root, '--json'])])
    expect(planned, planned.stderr).toMatchObject({ code: 0 })
    expect((json(planned) as PlanReport).backfills.map(({ model }) => model)).toEqual([
      's.slow',
      's.slow_days',
      's.after',
    ])

    expect(status, status.stderr).toMatchObject({ code: 0 })
    const report = json(status) as BuildReport
    expect(report).toMatchObject({ runId, status: 'running', endedAt: null })
    expect(Object.fromEntries(report.models.map(({ name, status }) => [name, status]))).toEqual({
      's.fast': 'success',
      's.slow': 'running',
      's.slow_days': 'running',
      's.after': 'pending',
    })

    for (const result of await Promise.all(free)) {
      expect(result, result.stderr).toMatchObject({ code: 0 })
      expect(json(result)).toBeTruthy()
    }
    await expectUndisturbed(build)
  })
})

describe('a file that a stranger holds', () => {
  it('is waited for, naming the process, and given up after --lock-timeout with exit 3', async () => {
    const root = await createProject(TWO_MODELS)
    const { pid, letGo } = await holdFile(join(root, 'w.duckdb'))
    const startedMs = Date.now()
    const verbs = ['plan', 'status', 'build']
    const results = await Promise.all(verbs.map((verb) => runCli([verb, root, '--json', '--lock-timeout', '2'])))
    expect(Date.now() - startedMs).toBeGreaterThan(2_000)
    for (const refused of results) {
      expect(refused, refused.stderr).toMatchObject({ code: 3 })
      expect(errorOf(refused)).toMatchObject({ code: 'DATABASE_LOCKED' })
      expect(errorOf(refused).message).toContain(`process ${pid}`)
    }
    await letGo()
    expect(
      await query(
        join(root, 'w.duckdb'),
        "SELECT schema_name FROM duckdb_schemas() WHERE schema_name LIKE 'millrace%'",
      ),
    ).toEqual([])
  })

  it('is used as soon as the stranger lets it go', async () => {
    const root = await createProject(TWO_MODELS)
    const { pid, letGo } = await holdFile(join(root, 'w.duckdb'))
    const plan = startCli(['plan', root])
    const build = startCli(['build', root])
    const waiting = new RegExp(`w\\.duckdb is held by process ${pid} \\(`)
    await Promise.all([plan.seen(waiting), build.seen(waiting)])
    await letGo()
    const [planned, built] = await Promise.all([plan.ended, build.ended])
    expect(planned, planned.stderr).toMatchObject({ code: 0 })
    expect(built, built.stderr).toMatchObject({ code: 0 })
    expect(await query(join(root, 'w.duckdb'), 'FROM s.b')).toEqual([{ y: 2 }])
  })
})

describe('an idle worker', () => {
  it('lets the file go after 10 s, lives on, and serves the next build', async () => {
    const server = await startTestServer()
    onTestFinished(() => server.close())
    const { address } = server.server
    const root = await createProject(TWO_MODELS)
    const worker = startWorker([root, '--address', address])
    const built = await runCli(['build', root, '--json', '--address', address])
    const endedMs = Date.now()
    expect(built, built.stderr).toMatchObject({ code: 0 })
    const file = join(root, 'w.duckdb')
    await expect(query(file, 'FROM s.b')).rejects.toThrow(/lock/)
    // Meanwhile whoever wants to know goes through the worker.
    expect(await runCli(['status', root, '--address', address])).toMatchObject({ code: 0 })
    const readMs = Date.now()
    await until('the file to be let go', () => query(file, 'FROM s.b').catch(() => null))
    expect(Date.now() - readMs).toBeLessThan(13_000)
    expect(Date.now() - endedMs).toBeGreaterThan(9_000)
    expect(worker.process.exitCode).toBeNull()

    await writeFiles(root, { 'models/a.sql': 'MODEL (name s.a, kind FULL);\nSELECT 10 AS x' })
    expect(await runCli(['build', root, '--address', address])).toMatchObject({ code: 0 })
    worker.process.kill('SIGINT')
    expect(await worker.ended).toMatchObject({ code: 0 })
    expect(await query(file, 'FROM s.b')).toEqual([{ y: 11 }])
  })
})

/** How a build under an id of one's own, as a Schedule or the Temporal CLI starts it, fails. */
async function failureOf(client: Client, project: string, workflowId: string): Promise<ApplicationFailure> {
  const taskQueue = `millrace-${project}`
  const error: unknown = await client.workflow
    .execute('buildProject', { taskQueue, workflowId, args: [{}] })
    .catch((error: unknown) => error)
  const failure = error instanceof WorkflowFailedError ? error.cause?.cause : null
  if (failure instanceof ApplicationFailure) return failure
  throw new Error(`expected the build to be refused; got ${String(error)}`)
}
