/** A Temporal server that a test stops and starts again, at the same address and with the same data. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { resolveTemporalCli } from '../../src/temporal/temporal-cli.ts'
import { readClusterId } from '../../src/temporal/probe-server.ts'
import { freePort } from './free-port.ts'

export interface RestartableServer {
  address: string
  /** As a machine that fails: nothing is said to anyone. */
  stop(): Promise<void>
  /** Resolves when it answers. */
  start(): Promise<void>
  /** Stops it, and removes what it knew. */
  close(): Promise<void>
}

/** @param dynamicConfig settings, each `key=JSON`. */
export async function startRestartableServer(dynamicConfig: readonly string[] = []): Promise<RestartableServer> {
  const { path } = await resolveTemporalCli({ onProgress: () => {} })
  const folder = await mkdtemp(join(tmpdir(), 'millrace-temporal-'))
  const port = await freePort()
  const address = `127.0.0.1:${port}`
  const args = [
    'server',
    'start-dev',
    '--headless',
    '--log-level',
    'never',
    '--db-filename',
    join(folder, 'temporal.db'),
  ]
  args.push('--ip', '127.0.0.1', '--port', String(port))
  for (const value of dynamicConfig) args.push('--dynamic-config-value', value)
  let running: ChildProcess | null = null

  async function stop(): Promise<void> {
    if (running === null) return
    const ended = once(running, 'close')
    running.kill('SIGKILL')
    await ended
    running = null
  }
  async function start(): Promise<void> {
    running = spawn(path, args, { stdio: 'ignore' })
    while ((await readClusterId(address, 1_000)) === null) await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await start()
  return {
    address,
    stop,
    start,
    async close() {
      await stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
