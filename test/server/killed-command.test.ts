/** A command killed with SIGKILL leaves no server behind, and the next one goes on with its build. */
import { basename } from 'node:path'
import { expect, it } from 'vitest'
import type { BuildReport } from '../../src/payloads.ts'
import { runCli, startCliThroughNpx } from '../helpers/cli.ts'
import {
  connectTo,
  createSlowProject,
  leftovers,
  letSlowQueriesEnd,
  processesOf,
  timesFastWasBuilt,
  until,
  untilServerFile,
  untilWriting,
} from '../helpers/slow-build.ts'

/** What may be killed: `npx tsx client.ts` is a chain of processes, the last of which does the work and owns the server. */
const VICTIMS: Record<string, (pids: { launcher: number; command: number }) => number> = {
  'the command itself': ({ command }) => command,
  'the outermost launcher': ({ launcher }) => launcher,
  'the whole process group': ({ launcher }) => -launcher,
}

/** From the kill until nothing is left of the command, its launchers and its server. */
const LIMIT_MS = 10_000

async function killAndGoOn(victim: string): Promise<void> {
  const root = await createSlowProject()
  const killed = startCliThroughNpx(['build', root])
  await killed.seen('Web UI')
  const { address, ownerPid } = await untilServerFile(root)
  const client = await connectTo(address)
  const workflowId = `millrace/${basename(root)}/prod`
  await untilWriting(client, workflowId)
  const { runId } = await client.workflow.getHandle(workflowId).describe()
  const launcher = killed.process.pid
  if (launcher === undefined) throw new Error('npx did not start')
  expect(launcher).not.toBe(ownerPid)
  expect((await processesOf(root)).length).toBeGreaterThan(3)

  const atMs = Date.now()
  process.kill(VICTIMS[victim]?.({ launcher, command: ownerPid }) ?? NaN, 'SIGKILL')
  await until(`the end of everything after ${victim} was killed`, async () => {
    return (await processesOf(root)).length === 0 ? true : null
  })
  expect(Date.now() - atMs, victim).toBeLessThan(LIMIT_MS)
  // The build is unfinished, and still has the environment.
  expect(await leftovers(root), victim).toEqual({ tables: ['s__fast'], ledger: ['s.fast'], views: [], running: 1 })
  const made = await timesFastWasBuilt(root)

  await letSlowQueriesEnd(root)
  const next = await runCli(['build', root, '--json'])
  expect(next.stderr, victim).toContain(`Going on with the unfinished build '${workflowId}'`)
  expect(next.code, next.stderr).toBe(0)
  const report = JSON.parse(next.stdout) as BuildReport
  expect(report, victim).toMatchObject({ runId, status: 'succeeded', promoted: true, counts: { success: 4, error: 0 } })
  expect(await timesFastWasBuilt(root), victim).toBe(made)
  expect(await leftovers(root), victim).toEqual({
    tables: ['s__after', 's__fast', 's__slow', 's__slow_days'],
    ledger: ['s.after', 's.fast', 's.slow', 's.slow_days'],
    views: ['after', 'fast', 'slow', 'slow_days'],
    running: 0,
  })
  expect(await processesOf(root), victim).toEqual([])
}

it('whichever of its processes is killed, no process is left, and the next command finishes the same build without redoing what was done', async () => {
  // At the same time: each waits for the heartbeat timeout of the steps that died.
  await Promise.all(Object.keys(VICTIMS).map((victim) => killAndGoOn(victim)))
})
