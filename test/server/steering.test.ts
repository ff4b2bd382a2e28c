/** Builds that are steered from outside the code: by the commands, and by the Temporal CLI alone. */
import { execFile } from 'node:child_process'
import { basename } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { BuildProgress } from '../../src/payloads.ts'
import { resolveTemporalCli } from '../../src/temporal/temporal-cli.ts'
import { runCli, startCli } from '../helpers/cli.ts'
import { createSlowProject, letSlowQueriesEnd, until, untilWriting } from '../helpers/slow-build.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

let server: TestServer
let temporal: (...args: string[]) => Promise<string>

beforeAll(async () => {
  server = await startTestServer()
  const { path } = await resolveTemporalCli({ onProgress: () => {} })
  temporal = async (...args) => {
    const { stdout } = await promisify(execFile)(path, [
      ...args,
      '--address',
      server.server.address,
      '--output',
      'json',
    ])
    return stdout
  }
})
afterAll(() => server.close())

/** `s.fast`, two slow ones, `s.after`; served by a worker. */
async function serveSlowProject(): Promise<{ root: string; taskQueue: string; workflowId: string }> {
  const root = await createSlowProject()
  const taskQueue = `millrace-${basename(root)}`
  const worker = await server.startWorker([root], { taskQueue })
  onTestFinished(() => worker.stop())
  return { root, taskQueue, workflowId: `millrace/${basename(root)}/prod` }
}

function progressOf(workflowId: string): Promise<BuildProgress> {
  return server.client.workflow.getHandle(workflowId).query<BuildProgress>('progress')
}

describe('a running build is steered', () => {
  test('by the commands', async () => {
    const { root, workflowId } = await serveSlowProject()
    const command = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await runCli([...args, '--project', root, '--address', server.server.address])
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      return stdout.trim()
    }
    const building = startCli(['build', root, '--address', server.server.address, '--json'])
    await untilWriting(server.client, workflowId)

    expect(await command('pause')).toBe(
      `${workflowId}: Paused: nothing more is started until it is resumed; 2 steps run to their end`,
    )
    expect(await command('adjust', '--max-parallel', '3', '--no-fail-fast')).toBe(
      `${workflowId}: Up to 3 steps in flight\n${workflowId}: What does not depend on a failed model is built`,
    )
    await letSlowQueriesEnd(root)
    for (const model of ['s.slow', 's.slow_days']) {
      expect(JSON.parse(await command('skip', model, workflowId, '--json'))).toEqual({
        workflowId,
        answers: [`Skipped '${model}'; it is interrupted. Nothing will be promoted unless it is retried`],
      })
    }
    await until('both left out', async () => ((await progressOf(workflowId)).counts.skipped === 3 ? true : null))
    // A paused build that has nothing left to start waits for somebody to decide.
    const retry = startCli(['retry', root, '--address', server.server.address])
    await retry.seen('Trying s.slow, s.slow_days again')
    expect(await progressOf(workflowId)).toMatchObject({ paused: true, counts: { skipped: 0, pending: 3 } })
    expect(await command('resume')).toBe(`${workflowId}: Resumed`)

    const [built, retried] = await Promise.all([building.ended, retry.ended])
    expect([built.code, retried.code]).toEqual([0, 0])
    expect(JSON.parse(built.stdout)).toMatchObject({ status: 'succeeded', promoted: true, counts: { success: 4 } })
  })

  test('by the Temporal CLI alone, which starts it, asks it and ends it, too', async () => {
    const { root, taskQueue } = await serveSlowProject()
    const workflowId = `nightly-${taskQueue}`
    const update = async (name: string, ...input: string[]): Promise<unknown> => {
      const args = input.flatMap((value) => ['--input', value])
      const answer = await temporal('workflow', 'update', 'execute', '-w', workflowId, '--name', name, ...args)
      return (JSON.parse(answer) as { result: unknown }).result
    }
    const start = ['--task-queue', taskQueue, '--type', 'buildProject', '-w', workflowId]
    await temporal('workflow', 'start', ...start, '--input', '{"maxParallel": 2, "executionTime": "2024-01-03"}')
    await untilWriting(server.client, workflowId)
    const asked = JSON.parse(await temporal('workflow', 'query', '-w', workflowId, '--type', 'progress')) as {
      queryResult: BuildProgress[]
    }
    expect(asked.queryResult[0]).toMatchObject({ stepsDone: 1, running: [{ name: 's.slow' }, { name: 's.slow_days' }] })

    expect(await update('pause')).toMatch(/^Paused: .*2 steps run/)
    expect(await update('setParallel', '4')).toBe('Up to 4 steps in flight')
    expect(await update('setFailFast', 'false')).toMatch(/is built$/)
    await letSlowQueriesEnd(root)
    expect(await update('skipModel', '"s.slow"')).toMatch(/^Skipped 's.slow'; it is interrupted/)
    await until('it left out', async () => ((await progressOf(workflowId)).counts.skipped === 2 ? true : null))
    expect(await update('retryModel', '"s.slow"')).toBe('Trying s.slow again')
    expect(await update('resume')).toBe('Resumed')
    await until('s.slow built', async () => ((await progressOf(workflowId)).stepsDone === 2 ? true : null))
    await expect(update('skipModel', '"s.slow"')).rejects.toThrow(/'s.slow' has ended already/)
    await temporal('workflow', 'cancel', '-w', workflowId)
    await expect(server.client.workflow.getHandle(workflowId).result()).rejects.toThrow(/cancelled/i)
    expect(await progressOf(workflowId)).toMatchObject({ status: 'canceled', counts: { success: 2, canceled: 2 } })
  })
})
