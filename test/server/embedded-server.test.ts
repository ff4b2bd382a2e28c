import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type EmbeddedServer, startEmbeddedServer } from '../../src/temporal/embedded-server.ts'
import { isProcessAlive } from '../../src/temporal/process-lock.ts'
import { readServerFile, type ServerFile, serverFilePath } from '../../src/temporal/server-file.ts'
import { exitOf, firstLine, sourcePath, startScript } from '../helpers/tsx-script.ts'

let projectRoot: string
const servers: EmbeddedServer[] = []

beforeEach(async () => {
  projectRoot = await mkdtemp(join(tmpdir(), 'millrace-embedded-'))
})
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()))
  await rm(projectRoot, { recursive: true, force: true })
})

async function start(): Promise<EmbeddedServer> {
  const server = await startEmbeddedServer({ projectRoot, onProgress: () => {} })
  servers.push(server)
  return server
}

async function withClient<T>(address: string, use: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address })
  try {
    return await use(new Client({ connection }))
  } finally {
    await connection.close()
  }
}

/** A process that starts the project's server, prints its server file, and stays. */
async function startOwner(name = 'owner') {
  const source = `
    import { startEmbeddedServer } from ${JSON.stringify(sourcePath('src/temporal/embedded-server.ts'))}
    import { readServerFile } from ${JSON.stringify(sourcePath('src/temporal/server-file.ts'))}
    const projectRoot = ${JSON.stringify(projectRoot)}
    const server = await startEmbeddedServer({ projectRoot, onProgress: () => {} })
    console.log(JSON.stringify({ owned: server.owned, ...(await readServerFile(projectRoot)) }))
    setInterval(() => {}, 1000)`
  const child = await startScript(projectRoot, source, { name })
  return { child, file: await firstLine<ServerFile & { owned: boolean }>(child) }
}

describe('the embedded server', () => {
  it('answers workflow calls at once, serves the Web UI, and is gone after stop', async () => {
    const server = await start()
    const handle = await withClient(server.address, (client) =>
      client.workflow.start('nobodyRunsIt', { taskQueue: 'none', workflowId: 'first' }),
    )
    expect(handle.workflowId).toBe('first')
    const page = await fetch(server.uiUrl)
    expect(page.status).toBe(200)
    expect(await page.text()).toMatch(/<html/i)
    const file = await readServerFile(projectRoot)
    expect(file).toMatchObject({ address: server.address, uiUrl: server.uiUrl, ownerPid: process.pid, stopping: false })
    await server.stop()
    await server.stop()
    await server.ended
    expect(isProcessAlive(file!.pid)).toBe(false)
    expect(existsSync(serverFilePath(projectRoot))).toBe(false)
    await expect(fetch(server.uiUrl)).rejects.toThrow()
  })

  it('keeps its history over a restart', async () => {
    const first = await start()
    await withClient(first.address, (client) =>
      client.workflow.start('nobodyRunsIt', { taskQueue: 'none', workflowId: 'kept', args: ['payload'] }),
    )
    await first.stop()
    const second = await start()
    const description = await withClient(second.address, (client) => client.workflow.getHandle('kept').describe())
    expect(description.status.name).toBe('RUNNING')
    expect(second.owned).toBe(true)
  })

  it('is found, not started again, by a second starter, whose stop leaves it running', async () => {
    const first = await start()
    const second = await start()
    expect(second).toMatchObject({ address: first.address, uiUrl: first.uiUrl, owned: false })
    await second.stop()
    const system = await withClient(first.address, (client) => client.workflowService.getSystemInfo({}))
    expect(system.serverVersion).not.toBe('')
  })

  it('is started once by two processes that start at the same time', async () => {
    const owners = await Promise.all([startOwner('one'), startOwner('two')])
    try {
      expect(owners.filter((owner) => owner.file.owned)).toHaveLength(1)
      expect(owners[0].file.pid).toBe(owners[1].file.pid)
    } finally {
      for (const { child } of owners) child.kill('SIGKILL')
    }
    await expect.poll(() => isProcessAlive(owners[0].file.pid), { timeout: 20_000 }).toBe(false)
  })

  it('ends when its owner is killed with SIGKILL, and the next owner has its history', async () => {
    const { child, file } = await startOwner()
    await withClient(file.address, (client) =>
      client.workflow.start('nobodyRunsIt', { taskQueue: 'none', workflowId: 'orphan' }),
    )
    child.kill('SIGKILL')
    await exitOf(child)
    // At once, while the old server is still on its way out.
    const next = await start()
    expect(next.owned).toBe(true)
    expect(isProcessAlive(file.pid)).toBe(false)
    expect(await readServerFile(projectRoot)).toMatchObject({ ownerPid: process.pid })
    const description = await withClient(next.address, (client) => client.workflow.getHandle('orphan').describe())
    expect(description.status.name).toBe('RUNNING')
  })

  it('leaves no process and no server file behind a killed owner', async () => {
    const { child, file } = await startOwner()
    child.kill('SIGKILL')
    await expect.poll(() => isProcessAlive(file.pid), { timeout: 20_000 }).toBe(false)
    await expect.poll(() => existsSync(serverFilePath(projectRoot)), { timeout: 5_000 }).toBe(false)
  })

  it('leaves no process behind an owner that just ends', async () => {
    const source = `
      import { startEmbeddedServer } from ${JSON.stringify(sourcePath('src/temporal/embedded-server.ts'))}
      import { readServerFile } from ${JSON.stringify(sourcePath('src/temporal/server-file.ts'))}
      const projectRoot = ${JSON.stringify(projectRoot)}
      await startEmbeddedServer({ projectRoot, onProgress: () => {} })
      console.log(JSON.stringify(await readServerFile(projectRoot)))`
    const child = await startScript(projectRoot, source)
    const file = await firstLine<ServerFile>(child)
    expect(await exitOf(child)).toBe(0)
    await expect.poll(() => isProcessAlive(file.pid), { timeout: 20_000 }).toBe(false)
  })

  it('ends with a watchdog that is killed, and loses no acknowledged history to its own SIGKILL', async () => {
    const server = await start()
    const ids = Array.from({ length: 20 }, (_, index) => `acknowledged-${index}`)
    await withClient(server.address, async ({ workflow }) => {
      await Promise.all(ids.map((workflowId) => workflow.start('nobodyRunsIt', { taskQueue: 'none', workflowId })))
    })
    const file = await readServerFile(projectRoot)
    process.kill(await parentOf(file!.pid), 'SIGKILL')
    await server.ended
    await expect.poll(() => isProcessAlive(file!.pid), { timeout: 20_000 }).toBe(false)
    await server.stop()
    expect(existsSync(serverFilePath(projectRoot))).toBe(false)
    const next = await start()
    const found = await withClient(next.address, ({ workflow }) =>
      Promise.all(ids.map(async (id) => (await workflow.getHandle(id).describe()).status.name)),
    )
    expect(found).toEqual(ids.map(() => 'RUNNING'))
  })

  it('is not taken for the stranger that a stale server file points to', async () => {
    const stranger = await startEmbeddedServer({
      projectRoot: await mkdtemp(join(projectRoot, 'other-')),
      onProgress: () => {},
    })
    servers.push(stranger)
    const own = await start()
    const file = await readServerFile(projectRoot)
    await own.stop()
    // Its ids belong to other living processes by now, and so does its port.
    const stale = { ...file, address: stranger.address, pid: process.ppid, ownerPid: process.ppid }
    await writeFile(serverFilePath(projectRoot), JSON.stringify(stale))
    const next = await start()
    expect(next.owned).toBe(true)
    expect(next.address).not.toBe(stranger.address)
  })

  it('refuses a second server on its data file, which would write into its history', async () => {
    const first = await start()
    const path = serverFilePath(projectRoot)
    const file = await readFile(path)
    // As after a crash of the machine: nothing tells of the server that holds the data.
    await rm(path)
    await expect(start()).rejects.toThrow(/database is locked/)
    await writeFile(path, file)
    expect(await start()).toMatchObject({ owned: false, address: first.address })
  })

  it('says why it did not start: the end of its log', async () => {
    const server = await start()
    await server.stop()
    await rm(join(projectRoot, '.millrace', 'temporal.db-wal'), { force: true })
    await writeFile(
      join(projectRoot, '.millrace', 'temporal.db'),
      'not a database, but long enough to be read as one'.repeat(99),
    )
    await expect(start()).rejects.toMatchObject({
      code: 'TEMPORAL_UNAVAILABLE',
      message: expect.stringMatching(/file is not a database/),
      hint: expect.stringContaining(join('.millrace', 'logs', 'temporal.log')),
    })
  })
})

/** Linux and macOS. */
async function parentOf(pid: number): Promise<number> {
  if (process.platform === 'linux') {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  }
  const { execFileSync } = await import('node:child_process')
  return Number(execFileSync('ps', ['-o', 'ppid=', '-p', String(pid)], { encoding: 'utf8' }))
}
