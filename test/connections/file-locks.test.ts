import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { createHarness } from './registry-harness.ts'

const children: ChildProcess[] = []

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
})

/** A process that has the file open until its standard input is closed. */
async function holdFile(file: string): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('./processes/hold-file.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', script, file], { stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  const [data] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])) as [unknown]
  expect(String(data)).toBe('holding\n')
  return child
}

test('a file that another process holds is waited for; the wait names the process', async () => {
  const { registry, config, folder } = createHarness()
  const file = join(folder, 'test.duckdb')
  const child = await holdFile(file)
  const messages: string[] = []
  const lease = await registry.lease(config(), {
    holder: 'a',
    onWaiting: (message) => {
      messages.push(message)
      child.stdin?.end()
    },
  })
  expect(messages[0]).toContain(`${file} is held by process ${child.pid} (`)
  expect(messages[0]).toContain('hold-file.ts')
  expect(await lease.rows('FROM held')).toEqual([{ x: 1 }])
  await lease.release()
})

test('a file that stays held is an error that names the process', async () => {
  const { registry, config, folder } = createHarness()
  const child = await holdFile(join(folder, 'test.duckdb'))
  const startedMs = performance.now()
  const results = await Promise.allSettled(
    Array.from({ length: 12 }, (_, n) =>
      registry.lease(config({ concurrent_tasks: 2 }), { holder: `h${n}`, lockTimeoutMs: 400 }),
    ),
  )
  // Waiting for the lock takes no slot: all of them wait at the same time.
  expect(performance.now() - startedMs).toBeLessThan(3000)
  for (const result of results) {
    expect(result).toMatchObject({
      status: 'rejected',
      reason: {
        code: 'DATABASE_LOCKED',
        message: expect.stringContaining(`process ${child.pid}`),
        hint: expect.stringContaining('--lock-timeout'),
      },
    })
  }
  expect(registry.snapshot().databases).toEqual([])
})

test('who waits for a lock can give up, and the end of the registry does not wait for it', async () => {
  const { registry, config, folder, detach } = createHarness()
  await holdFile(join(folder, 'test.duckdb'))
  const controller = new AbortController()
  const reason = new Error('given up')
  await expect(
    registry.lease(config(), { holder: 'a', signal: controller.signal, onWaiting: () => controller.abort(reason) }),
  ).rejects.toBe(reason)
  let waits: () => void = () => undefined
  const isWaiting = new Promise<void>((resolve) => (waits = resolve))
  const refused = expect(registry.lease(config(), { holder: 'b', onWaiting: () => waits() })).rejects.toThrow(
    'shuts down',
  )
  await isWaiting
  const startedMs = performance.now()
  await detach()
  await refused
  expect(performance.now() - startedMs).toBeLessThan(1000)
})

test('an idle registry lets another process have the file, and gets it back', async () => {
  const { registry, lease, folder } = createHarness({ idleMs: 20 })
  await using first = await lease()
  await first.run('CREATE TABLE t AS SELECT 1 AS x')
  await first.release()
  while (registry.snapshot().databases.length > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  const child = await holdFile(join(folder, 'test.duckdb'))
  child.stdin?.end()
  await using again = await lease()
  expect(await again.rows('SELECT t.x + held.x AS sum FROM t, held')).toEqual([{ sum: 2 }])
})
