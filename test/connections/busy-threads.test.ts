/** While long queries hold their threads, everything else that needs one goes on. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'

const SCRIPT = fileURLToPath(new URL('./processes/busy-threads.ts', import.meta.url))

/** Below this, in ms, the 95th percentile of an idle process is the machine's noise. */
const NOISE_MS = 2

interface Measured {
  idle: Record<string, number>
  busy: Record<string, number>
  endedEarly: number
}

// Again where another test kept the processors busy in the meantime: threads that are all taken fail each time.
test(
  'beside 32 queries that run, a token, a file and a connection take at most 5 times as long',
  { retry: 2 },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-busy-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', SCRIPT, folder, 'waiting'], {
      env: { ...process.env, UV_THREADPOOL_SIZE: '64' },
    })
    const { idle, busy, endedEarly } = JSON.parse(stdout) as Measured
    expect(endedEarly).toBe(0)
    const ratios = Object.entries(busy).map(([name, ms]) => ({ name, ratio: ms / Math.max(idle[name] ?? 0, NOISE_MS) }))
    expect(ratios.map(({ name }) => name)).toEqual(['token', 'file', 'connection'])
    for (const { name, ratio } of ratios) expect(ratio, name).toBeLessThanOrEqual(5)
  },
)
