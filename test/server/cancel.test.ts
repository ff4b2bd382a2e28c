/** Builds that are stopped in mid-query, by Ctrl-C, by `cancel` and by the Temporal CLI. */
import { execFile } from 'node:child_process'
import { basename } from 'node:path'
import { promisify } from 'node:util'
import type { Client } from '@temporalio/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startEmbeddedServer } from '../../src/temporal/embedded-server.ts'
import { resolveTemporalCli } from '../../src/temporal/temporal-cli.ts'
import type { BuildReport } from '../../src/payloads.ts'
import { runCli, startCli, startCliThroughNpx, startWorker, type CliResult, type RunningCli } from '../helpers/cli.ts'
import { connectTo, createSlowProject, leftovers, untilServerFile, untilWriting } from '../helpers/slow-build.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

/** From the request to the end of it all. */
const LIMIT_MS = 5_000

interface SlowBuild {
  root: string
  workflowId: string
  command: RunningCli
  client: Client
  address: string
}

/** A command whose build is in mid-query, on a server of its own. */
async function startEmbeddedBuild(start = startCli): Promise<SlowBuild> {
  const root = await createSlowProject()
  const command = start(['build', root, '--json'])
  await command.seen('Web UI')
  const { address } = await untilServerFile(root)
  return midQuery({ root, command, address })
}

async function midQuery({
  root,
  command,
  address,
}: Pick<SlowBuild, 'root' | 'command' | 'address'>): Promise<SlowBuild> {
  const client = await connectTo(address)
  const workflowId = `millrace/${basename(root)}/prod`
  await untilWriting(client, workflowId)
  return { root, workflowId, command, client, address }
}

function interrupt({ process: { pid } }: RunningCli): void {
  if (pid === undefined) throw new Error('the command did not start')
  // What a terminal does: every process of the group gets it.
  process.kill(-pid, 'SIGINT')
}

async function ending({ ended }: RunningCli): Promise<{ result: CliResult; endedMs: number }> {
  const result = await ended
  return { result, endedMs: Date.now() }
}

interface CanceledBuild extends Pick<SlowBuild, 'root' | 'workflowId' | 'client'> {
  /** When the command had ended, or `cancel` had said that the build has. */
  endedMs: number
}

/** Every running query was interrupted in time, what was done before is kept, and the history says how it ended. */
async function expectCanceled({ root, workflowId, client, endedMs }: CanceledBuild): Promise<void> {
  expect(await leftovers(root)).toEqual({ tables: ['s__fast'], ledger: ['s.fast'], views: [], running: 0 })
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory()
  const all = events ?? []
  const requests = all.filter((event) => event.workflowExecutionCancelRequestedEventAttributes)
  expect(requests).toHaveLength(1)
  expect(endedMs - timeOf(requests[0]?.eventTime)).toBeLessThan(LIMIT_MS)
  expect(all.at(-1)?.workflowExecutionCanceledEventAttributes).toBeTruthy()
  const ids = new Map(
    all.map((event) => [String(event.eventId), event.activityTaskScheduledEventAttributes?.activityId]),
  )
  const canceled = all.flatMap(({ activityTaskCanceledEventAttributes: attributes }) =>
    attributes ? [ids.get(String(attributes.scheduledEventId))] : [],
  )
  expect(new Set(canceled.map((id) => id?.replace(/@.*/, '')))).toEqual(new Set(['s.slow', 's.slow_days']))
  expect(canceled).toHaveLength(2)
}

function timeOf(time: { seconds?: unknown; nanos?: number | null } | null | undefined): number {
  return Number(time?.seconds) * 1000 + (time?.nanos ?? 0) / 1e6
}

function expectCanceledReport({ stdout }: CliResult): void {
  const report = JSON.parse(stdout) as BuildReport
  expect(report).toMatchObject({ status: 'canceled', promoted: false, counts: { success: 1, canceled: 3, error: 0 } })
  expect(report.endedAt).not.toBeNull()
  const statuses = Object.fromEntries(report.models.map(({ name, status }) => [name, status]))
  expect(statuses).toEqual({
    's.fast': 'success',
    's.slow': 'canceled',
    's.slow_days': 'canceled',
    's.after': 'canceled',
  })
}

/** The server that a command had started ended with it; its history is on disk. */
async function withHistory(root: string, look: (client: Client) => Promise<void>): Promise<void> {
  const server = await startEmbeddedServer({ projectRoot: root, onProgress: () => {} })
  try {
    await look(await connectTo(server.address))
  } finally {
    await server.stop()
  }
}

async function cancelWithTemporalCli(workflowId: string, address: string): Promise<void> {
  const { path } = await resolveTemporalCli({ onProgress: () => {} })
  await promisify(execFile)(path, ['workflow', 'cancel', '--workflow-id', workflowId, '--address', address])
}

describe('a build on an embedded server', () => {
  it('is cancelled by Ctrl-C within 5 s: exit 130', async () => {
    const { root, workflowId, command } = await startEmbeddedBuild()
    interrupt(command)
    const { result, endedMs } = await ending(command)
    expect(result.code).toBe(130)
    expect(result.stderr).toMatch(/cancelling/i)
    expectCanceledReport(result)
    await withHistory(root, (client) => expectCanceled({ root, workflowId, client, endedMs }))
  })

  it('is cancelled by `cancel` from a second process within 5 s; the build ends with 1', async () => {
    const { root, workflowId, command } = await startEmbeddedBuild()
    const cancel = await runCli(['cancel', root])
    expect(cancel).toMatchObject({ code: 0, stdout: `${workflowId}: canceled\n` })
    const { result, endedMs } = await ending(command)
    expect(result.code).toBe(1)
    expectCanceledReport(result)
    await withHistory(root, (client) => expectCanceled({ root, workflowId, client, endedMs }))
  })

  it('is cancelled by the Temporal CLI within 5 s; the build ends with 1', async () => {
    const { root, workflowId, command, address } = await startEmbeddedBuild()
    await cancelWithTemporalCli(workflowId, address)
    const { result, endedMs } = await ending(command)
    expect(result.code).toBe(1)
    expectCanceledReport(result)
    await withHistory(root, (client) => expectCanceled({ root, workflowId, client, endedMs }))
  })

  it('is left at once by a second Ctrl-C, but not by the echo of the first from npm, sh and tsx: nothing half-written', async () => {
    const { root, command } = await startEmbeddedBuild(startCliThroughNpx)
    interrupt(command)
    await command.seen(/cancelling/i)
    // Launchers pass a Ctrl-C on, so what comes within 0.3 s is the same one; the build has up to 5 s.
    await new Promise((resolve) => setTimeout(resolve, 350))
    expect(command.process.exitCode ?? command.process.signalCode).toBeNull()
    const atMs = Date.now()
    interrupt(command)
    const { result, endedMs } = await ending(command)
    expect(endedMs - atMs).toBeLessThan(1_500)
    // npm ends with the signal that it has passed on; a shell calls that 130.
    expect(result.code ?? result.signal).toBe('SIGINT')
    expect(result.stdout).toBe('')
    expect(await leftovers(root)).toMatchObject({ tables: ['s__fast'], ledger: ['s.fast'], views: [] })
  })
})

describe('a build on a server of its own, with a worker of its own', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer()
  })
  afterAll(() => server.close())

  async function startRemoteBuild(): Promise<SlowBuild & { worker: RunningCli }> {
    const root = await createSlowProject()
    const { address } = server.server
    const worker = startWorker([root, '--address', address])
    const command = startCli(['build', root, '--json', '--address', address])
    return { ...(await midQuery({ root, command, address })), worker }
  }

  /** Only then the database is free to be looked into. */
  async function stopWorker(worker: RunningCli): Promise<void> {
    interrupt(worker)
    expect(await worker.ended).toMatchObject({ code: 0 })
  }

  it('goes on without the command after Ctrl-C, which says how to go on, and is then cancelled by `cancel` within 5 s', async () => {
    const { root, workflowId, command, client, address, worker } = await startRemoteBuild()
    const atMs = Date.now()
    interrupt(command)
    const { result: left, endedMs: leftMs } = await ending(command)
    expect(leftMs - atMs).toBeLessThan(3_000)
    expect(left.code).toBe(130)
    expect(left.stdout).toBe('')
    expect(left.stderr).toMatch(/goes on/)
    expect(left.stderr).toContain(`watch ${root} --address ${address}`)
    expect(left.stderr).toContain(`cancel ${root} --address ${address}`)
    expect((await client.workflow.getHandle(workflowId).describe()).status.name).toBe('RUNNING')
    await untilWriting(client, workflowId)

    const cancel = await runCli(['cancel', root, '--address', address])
    const endedMs = Date.now()
    expect(cancel).toMatchObject({ code: 0, stdout: `${workflowId}: canceled\n` })
    expect((await client.workflow.getHandle(workflowId).describe()).status.name).toBe('CANCELLED')
    await stopWorker(worker)
    await expectCanceled({ root, workflowId, client, endedMs })
  })

  it('is cancelled by the Temporal CLI within 5 s; the command that follows it ends with 1', async () => {
    const { root, workflowId, command, client, address, worker } = await startRemoteBuild()
    await cancelWithTemporalCli(workflowId, address)
    const { result, endedMs } = await ending(command)
    expect(result.code).toBe(1)
    expectCanceledReport(result)
    await stopWorker(worker)
    await expectCanceled({ root, workflowId, client, endedMs })
  })
})
